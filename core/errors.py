"""What can go wrong, sorted by what to do about it: retry, set the record aside, or ask a person.

Every error is one line for a person (``str(error)``) and a line of remedy; `switchboard.cli` prints both and no trace.
"""

from __future__ import annotations


class SwitchboardError(Exception):
    """The root. `what` tells what happened and where; `remedy` tells what to do."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class TransientError(SwitchboardError):
    """Something is away or busy; the same call may go through later."""


class PoisonError(SwitchboardError):
    """One record cannot land; its neighbours can."""


class MisconfiguredError(SwitchboardError):
    """A person has to change something; trying again does not help."""


class ContractError(MisconfiguredError):
    """A contract contradicts itself, or a target cannot express it."""


class RefusedError(MisconfiguredError):
    """The step would lose data and was not named by its user."""


class StoppedError(SwitchboardError):
    """A table or shard was stopped so that nothing is lost; it goes on once a person has decided."""
