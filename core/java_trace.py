"""Stack traces of Java, as Kafka Connect and Flink return them."""

from __future__ import annotations

import re

CAUSED_BY = "Caused by: "
MAX_CHARS = 500


def root_cause(trace: str) -> str:
    """Returns the innermost cause in one line, the trace's first line if it names none: the short name of the
    class, and the message."""
    lines = [line for line in trace.splitlines() if line and not line.startswith(("\t", "    "))]
    causes = [line.removeprefix(CAUSED_BY) for line in lines if line.startswith(CAUSED_BY)]
    if not lines:
        return "no cause given"
    return re.sub(r"^(?:[a-z_$0-9]+\.)+", "", causes[-1] if causes else lines[0])[:MAX_CHARS]
