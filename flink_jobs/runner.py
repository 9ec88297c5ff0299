"""Runs SQL statements on a Flink cluster. The one file that runs in Flink's environment, so it imports no
other module of the project.

``python runner.py`` reads lines of ``[{"settings": {name: value}, "statements": [sql, ...]}, ...]`` from its
standard input until it ends, each element a session, and writes a line of JSON for each statement: ``{"rows":
[[...], ...]}`` for a statement with rows, ``{"job": id}`` for a submitted job. It stops at the first
statement that fails, with ``{"error": text}`` and exit status 1.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from pyflink.common import Configuration
from pyflink.table import EnvironmentSettings, TableEnvironment, TableResult

# Else PyFlink imports Beam and serves Python functions from here, which takes seconds: no job has any.
os.environ["_python_worker_execution_mode"] = "process"  # noqa: SIM112 - so PyFlink spells it


def main() -> int:
    for session in (session for line in sys.stdin for session in json.loads(line)):
        environment = connect(session["settings"])
        for statement in session["statements"]:
            try:
                answer = answer_of(statement, environment.execute_sql(statement))
            except Exception as error:
                write({"error": cause(error)})
                return 1
            write(answer)
    return 0


def connect(settings: dict[str, str]) -> TableEnvironment:
    configuration = Configuration()
    for name, value in settings.items():
        configuration.set_string(name, value)
    return TableEnvironment.create(
        EnvironmentSettings.new_instance().with_configuration(configuration).build()
    )


def answer_of(statement: str, result: TableResult) -> dict[str, Any]:
    """Returns the answer. Blocks until a query has returned its last row; does not wait for INSERTs."""
    job = result.get_job_client()
    if job is not None and statement.split(maxsplit=1)[0].upper() in ("INSERT", "EXECUTE"):
        return {"job": str(job.get_job_id())}
    with result.collect() as rows:
        return {"rows": [list(row) for row in rows]}


def cause(error: Exception) -> str:
    """Returns the innermost of Java's causes; PyFlink has all of them, with traces, in one text."""
    lines = [line.strip().removeprefix(": ") for line in str(error).splitlines()]
    messages = [
        line
        for line in lines
        if line and not line.startswith(("at ", "... ", "An error occurred while calling"))
    ]
    causes = [line.removeprefix("Caused by: ") for line in messages if line.startswith("Caused by: ")]
    return causes[-1] if causes else (messages or [type(error).__name__])[0]


def write(answer: dict[str, Any]) -> None:
    print(json.dumps(answer, default=plain), flush=True)


def plain(value: Any) -> str:
    """Converts values without a JSON type: bytes to hexadecimal digits, others by `str`."""
    return value.hex() if isinstance(value, bytes | bytearray) else str(value)


if __name__ == "__main__":
    sys.exit(main())
