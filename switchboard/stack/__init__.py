"""The local stack: real servers as plain processes."""

from switchboard.stack.stack import discard, down, endpoints, flink_client, kill, setup, start_part, statuses, stop_part, up

__all__ = ["discard", "down", "endpoints", "flink_client", "kill", "setup", "start_part", "statuses", "stop_part", "up"]
