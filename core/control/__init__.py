"""What the platform remembers: see `models`."""

from core.control.database import ControlDatabase

__all__ = ["ControlDatabase"]
