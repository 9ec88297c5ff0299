"""Composes what the commands of this package run."""

from __future__ import annotations

import threading

from consumers.contracts import Contracts
from consumers.lander import Lander
from consumers.table_widener import TableWidener
from core.control import open_control
from core.settings import Context


def make_lander(context: Context, stop: threading.Event) -> Lander:
    """Returns a lander for the current contracts, with every generation of computed tables; it ends once
    `stop` is set. Blocks for the control database."""
    endpoints, settings = context.endpoints, context.settings
    control = open_control(context)
    contracts = Contracts(settings.contracts, control)
    catalog = contracts()
    widen = TableWidener(endpoints.clickhouse, control).widen
    return Lander(endpoints, settings.landing, catalog, control, widen, stop.is_set, contracts)
