"""Structured logs on standard error, one line for each event; secrets are masked."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

import structlog
from pydantic import SecretStr
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger


def configure(*, json: bool | None = None, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Logs JSON, or coloured lines on a terminal, unless `json` decides."""
    out = stream or sys.stderr
    as_json = not out.isatty() if json is None else json
    renderer = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_secrets,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(out),
    )


def get(name: str) -> FilteringBoundLogger:
    logger: FilteringBoundLogger = structlog.get_logger(part=name)
    return logger


def _without_secrets(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {
        key: "***" if isinstance(value, SecretStr) or "password" in key else value
        for key, value in event.items()
    }
