"""Runs SQL statements on a Flink cluster. The one file that runs in Flink's environment, so it imports nothing of ours.

``python runner.py`` reads lines of ``[{"settings": {name: value}, "statements": [sql, ...]}, ...]`` from its standard input until it
ends, each element a session of its own, and writes a line of JSON for each statement: ``{"rows": [[...], ...]}`` for what answers
with rows, ``{"job": id}`` for what goes on by itself. It stops at the first statement that fails, with ``{"error": text}`` and
exit status 1.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pyflink.common import Configuration
from pyflink.table import EnvironmentSettings, TableEnvironment, TableResult


def main() -> int:
    for session in (session for line in sys.stdin for session in json.loads(line)):
        environment = connect(session["settings"])
        for statement in session["statements"]:
            try:
                answer = answer_of(statement, environment.execute_sql(statement))
            except Exception as error:
                say({"error": cause(error)})
                return 1
            say(answer)
    return 0


def connect(settings: dict[str, str]) -> TableEnvironment:
    configuration = Configuration()
    for name, value in settings.items():
        configuration.set_string(name, value)
    return TableEnvironment.create(EnvironmentSettings.new_instance().with_configuration(configuration).build())


def answer_of(statement: str, result: TableResult) -> dict[str, Any]:
    """Blocks until a query has given its last row. An INSERT, or a set of them, is not waited for."""
    job = result.get_job_client()
    if job is not None and statement.split(maxsplit=1)[0].upper() in ("INSERT", "EXECUTE"):
        return {"job": str(job.get_job_id())}
    with result.collect() as rows:
        return {"rows": [list(row) for row in rows]}


def cause(error: Exception) -> str:
    """The innermost of Java's causes; PyFlink gives them all, with their traces, as one text."""
    lines = [line.strip().removeprefix(": ") for line in str(error).splitlines()]
    told = [line for line in lines if line and not line.startswith(("at ", "... ", "An error occurred while calling"))]
    causes = [line.removeprefix("Caused by: ") for line in told if line.startswith("Caused by: ")]
    return causes[-1] if causes else (told or [type(error).__name__])[0]


def say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer, default=plain), flush=True)


def plain(value: Any) -> str:
    """What JSON has no type for: bytes as hexadecimal digits, the rest as Python writes it."""
    return value.hex() if isinstance(value, bytes | bytearray) else str(value)


if __name__ == "__main__":
    sys.exit(main())
