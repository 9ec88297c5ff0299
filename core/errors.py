"""The platform's errors, by the required reaction: retry, write a dead letter, or let an operator act.

Every error has a message of one line (``str(error)``) and a remedy; `switchboard.cli` prints both without a
traceback.
"""

from __future__ import annotations


class SwitchboardError(Exception):
    """The base class. `what` is what happened and where; `remedy` is what to do."""

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.remedy = remedy


class TransientError(SwitchboardError):
    """A server is unavailable or busy; the same call may succeed later."""


class PoisonError(SwitchboardError):
    """One record cannot land; its neighbours can."""


class MisconfiguredError(SwitchboardError):
    """An operator must change something; a retry does not help."""


class ContractError(MisconfiguredError):
    """A contract is inconsistent, or cannot be rendered for a target."""


class RefusedError(MisconfiguredError):
    """A step would lose data and was not approved."""


class StoppedError(SwitchboardError):
    """A table or shard was stopped so that nothing is lost; it resumes once an operator has decided."""
