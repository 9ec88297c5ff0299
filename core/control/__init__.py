"""What the platform remembers: see `models`."""

from core.control.database import ControlDatabase, open_control

__all__ = ["ControlDatabase", "open_control"]
