"""The contracts as a running lander knows them: read again once `switchboard apply` has remembered others."""

from __future__ import annotations

import sys
from functools import partial

from consumers.applied import applied, fingerprint
from core import logging
from core.control import ControlDatabase, results
from schemas.catalog import Catalog, load

log = logging.get("lander")


class Contracts:
    """Call it for the catalog, with every generation of computed tables. Blocks on the control database.

    Raises ContractError if the contracts, which somebody may just be editing, cannot be read.
    """

    def __init__(self, where: str, control: ControlDatabase) -> None:
        self._where = where
        self._control = control
        self._applied = self._fingerprints()
        self._catalog = load(where)

    def __call__(self) -> Catalog:
        found = self._fingerprints()
        if found != self._applied:
            self._catalog = self._again()
            for table in self._catalog:
                if table.name in found and found[table.name] not in (self._applied.get(table.name), fingerprint(table)):
                    log.warning("another contract was applied than the one that is read here", table=table.name, contracts=self._where)
            self._applied = found
        return self._catalog.beside(partial(results.beside, self._control))

    def _fingerprints(self) -> dict[str, str]:
        return {name: contract.fingerprint for name, contract in applied(self._control).items()}

    def _again(self) -> Catalog:
        for name in [name for name in sys.modules if name == self._where or name.startswith(f"{self._where}.")]:
            del sys.modules[name]
        return load(self._where)
