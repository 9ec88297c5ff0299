"""Counts of tests: small ones in every run, full ones under `make soak`."""

from __future__ import annotations

import os
from typing import TypeVar

SOAKING = "SWITCHBOARD_SOAK" in os.environ
T = TypeVar("T")


def scaled(small: T, full: T) -> T:
    """`small` in an ordinary run, `full` under `make soak`."""
    return full if SOAKING else small
