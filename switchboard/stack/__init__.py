"""The local stack: real servers as plain processes."""

from switchboard.stack.stack import (
    discard,
    down,
    endpoints,
    flink_client,
    kill,
    setup,
    start_service,
    statuses,
    stop_service,
    up,
)

__all__ = [
    "discard",
    "down",
    "endpoints",
    "flink_client",
    "kill",
    "setup",
    "start_service",
    "statuses",
    "stop_service",
    "up",
]
