"""Quantiles of what was measured."""

from __future__ import annotations

from collections.abc import Sequence


def quantile(ordered: Sequence[float], share: float) -> float:
    """Of values in order: the one below which this share of them stands."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
