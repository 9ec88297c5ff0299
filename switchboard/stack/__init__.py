"""The local stack: real servers as plain processes."""

from switchboard.stack.stack import down, endpoints, flink_client, kill, setup, start_part, statuses, stop_part, up

__all__ = ["down", "endpoints", "flink_client", "kill", "setup", "start_part", "statuses", "stop_part", "up"]
