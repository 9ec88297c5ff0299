"""ClickHouse as a server, from the engine on PyPI: ``python clickhouse_server.py HOME``.

HOME has config.xml and users.xml. A query that never ends starts the engine's own listeners; SIGTERM ends it.
The package's ``__init__`` is not run, because it opens and closes an engine of its own, which ends
process-wide pools.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import signal
import sys
import threading
import types
from pathlib import Path
from typing import Any

HOLD = (
    "SYSTEM START LISTEN HTTP; SYSTEM START LISTEN TCP; "
    "SELECT sleepEachRow(0.25) FROM numbers(1000000000000) "
    "SETTINGS max_block_size=1, max_threads=1, max_execution_time=0, log_queries=0 FORMAT Null"
)


def load_engine() -> Any:
    spec = importlib.util.find_spec("chdb")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the package chdb-core is missing: run `make setup`")
    folder = Path(spec.submodule_search_locations[0])
    stand_in = types.ModuleType("chdb")
    stand_in.__path__ = [str(folder)]
    sys.modules["chdb"] = stand_in
    library = next(folder.glob("_chdb*.so"))
    os.chdir(folder)
    loader = importlib.machinery.ExtensionFileLoader("chdb._chdb", str(library))
    module_spec = importlib.util.spec_from_file_location("chdb._chdb", str(library), loader=loader)
    assert module_spec is not None
    module = importlib.util.module_from_spec(module_spec)
    loader.exec_module(module)
    return module


def main(home: Path) -> None:
    home = home.resolve()
    engine = load_engine()
    os.chdir(home)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    failed: list[BaseException] = []

    def hold() -> None:
        try:
            engine.query(HOLD, "TabSeparated", path=str(home / "data"))
        except BaseException as error:
            failed.append(error)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=hold, daemon=True).start()
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    for error in failed:
        print(f"ClickHouse ended: {error}", file=sys.stderr, flush=True)
    os._exit(1 if failed else 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
