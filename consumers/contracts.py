"""The contracts of a running lander: reloaded once `switchboard apply` has stored others."""

from __future__ import annotations

import sys

from consumers.applied_contracts import applied, fingerprint
from core import logging
from core.control import ControlDatabase, result_versions
from schemas.catalog import Catalog, load

log = logging.get("lander")


class Contracts:
    """Called, it returns the catalog with every generation of computed tables. Blocks on the control
    database.

    Raises ContractError if the contracts cannot be read, as when somebody is editing them.
    """

    def __init__(self, package: str, control: ControlDatabase) -> None:
        self._package = package
        self._control = control
        self._applied = self._fingerprints()
        self._catalog = load(package)

    def __call__(self) -> Catalog:
        current = self._fingerprints()
        if current != self._applied:
            self._catalog = self._reload()
            for table in self._catalog:
                if table.name in current and current[table.name] not in (
                    self._applied.get(table.name),
                    fingerprint(table),
                ):
                    log.warning(
                        "the applied contract differs from the one that is loaded here",
                        table=table.name,
                        contracts=self._package,
                    )
            self._applied = current
        return self._catalog.with_all_generations(result_versions.materialised_generations(self._control))

    def _fingerprints(self) -> dict[str, str]:
        return {name: contract.fingerprint for name, contract in applied(self._control).items()}

    def _reload(self) -> Catalog:
        for name in [
            name for name in sys.modules if name == self._package or name.startswith(f"{self._package}.")
        ]:
            del sys.modules[name]
        return load(self._package)
