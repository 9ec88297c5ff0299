"""One state fanned out to every watcher: what changed, merged by entity, the newest only.

Watchers of one tenant and the same teams share one message and its bytes, and those of one tenant the bytes of each agent and
queue. A watcher that is slow finds its next message made of all it missed, as large as the view at most; nobody waits for it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from core import logging, metrics
from streamer.alerts import Alert, Alerts, values
from streamer.auth import Caller
from streamer.mailbox import Mailbox
from streamer.room import COHORTS, Moment, Room, concerns
from streamer.state import Change, Sources, State
from streamer.tenant import Teams
from streamer.view import View

FLUSH_SECONDS = 0.05
FORGET = 60 * COHORTS
"""Flushes: a minute of them."""
Group = tuple[int, Teams]
log = logging.get("streamer")


class Hub:
    """Owned by one loop."""

    def __init__(self, state: State, write: Callable[[int, list[Alert]], None] = lambda tenant, alerts: None) -> None:
        """`write` is told of each alert of a tenant as it changes."""
        self._state = state
        self._write = write
        self._rooms: dict[Group, Room] = {}
        self._views: dict[int, View] = {}
        self._data_at: dict[int, int] = {}
        self._alerts: dict[int, Alerts] = {}
        self._changed_alerts: dict[int, list[Alert]] = defaultdict(list)
        self._joined = 0
        self._flushes = 0

    @property
    def watchers(self) -> int:
        return sum(len(room.mailboxes) for room in self._rooms.values())

    def take(self, changes: Iterable[Change]) -> None:
        """A change that cannot be applied is told in the log; those beside it are."""
        for change in changes:
            try:
                self._state.apply(change)
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                metrics.UNREADABLE_RESULTS.labels(change.table).inc()
                log.error("a record cannot be applied", table=change.table, key=str(change.key), error=str(error))

    def show(self, state: State) -> None:
        """Another state from here on; every watcher is sent a snapshot of it."""
        state.settle()
        self._state, self._views = state, {}
        self._data_at = state.data_at()
        for (number, _), room in self._rooms.items():
            room.show(self._view(number))

    def zones(self, zones: Mapping[int, str]) -> None:
        """As `State.zones`."""
        self._state.zones(zones)

    def sources(self, sources: Sources) -> None:
        """As `State.sources`."""
        self._state.sources(sources)

    def join(self, caller: Caller) -> Mailbox:
        """The mailbox already holds a snapshot."""
        group = (caller.tenant, caller.teams)
        if group not in self._rooms:
            self._rooms[group] = self._room(*group)
        self._joined += 1
        return self._rooms[group].join(self._joined)

    def leave(self, caller: Caller, mailbox: Mailbox) -> None:
        group = (caller.tenant, caller.teams)
        self._rooms[group].leave(mailbox)
        if not self._rooms[group].mailboxes:
            del self._rooms[group]
            if caller.tenant not in {number for number, _ in self._rooms}:
                self._views.pop(caller.tenant, None)

    def _room(self, number: int, teams: Teams) -> Room:
        return Room(self._view(number), teams, partial(self._moment, number), lambda: self._shown(number))

    def _view(self, number: int) -> View:
        if number not in self._views:
            self._views[number] = View(self._state.tenants[number])
            self._state.tenants[number].measure(utc_now())
            self._data_at = self._state.data_at()
        return self._views[number]

    def _moment(self, number: int) -> Moment:
        return Moment(utc_now(), self._data_at.get(number, 0))

    def _shown(self, number: int) -> list[Alert]:
        return self._alerts[number].shown if number in self._alerts else []

    def acknowledge(self, caller: Caller, identity: str) -> Alert | None:
        """None if the caller is shown no such alert. Every watcher of the tenant is told."""
        tenant = self._state.tenants[caller.tenant]
        if identity not in [alert.id for alert in self._shown(caller.tenant) if concerns(tenant, alert, caller.teams)]:
            return None
        alert = self._alerts[caller.tenant].acknowledge(identity, caller.name, utc_now())
        if alert is not None:
            self._tell(caller.tenant, [alert])
        return alert

    def adopt(self, standing: Iterable[tuple[int, Alert]]) -> None:
        """The alerts (tenant, alert) that stood when a streamer ended, from before the first is judged.

        Of several of one subject, as two streamers leave them, the newest stands on; the others are cleared.
        """
        by_tenant: dict[int, list[Alert]] = defaultdict(list)
        for tenant, alert in sorted(standing, key=lambda item: item[1].raised_at):
            by_tenant[tenant].append(alert)
        for tenant, alerts in by_tenant.items():
            newest = {alert.subject: alert for alert in alerts}
            self._alerts[tenant] = Alerts(tenant, standing=newest.values())
            doubled = [replace(alert, cleared_at=utc_now()) for alert in alerts if newest[alert.subject] is not alert]
            if doubled:
                self._write(tenant, doubled)

    def sees(self, caller: Caller, agent: int) -> bool:
        return self._state.tenants[caller.tenant].sees_agent(agent, caller.teams)

    def close(self) -> None:
        for room in self._rooms.values():
            for mailbox in room.mailboxes:
                mailbox.close()

    async def run(self) -> None:
        """Sends on what changed twenty times a second, and every queue's windows each second, as time moves them too."""
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self._flushes += 1
            cohort = self._flushes % COHORTS
            if self._flushes % FORGET == 0:
                self._forget(utc_now())
            if cohort == 0:
                metrics.WATCHERS.set(self.watchers)
                metrics.NEWEST_COMMIT.set(self._state.newest_ms / 1000)
            self._measure(utc_now(), cohort)
            self._judge(utc_now(), cohort)
            self._flush(cohort)

    def _forget(self, now: dt.datetime) -> None:
        self._state.forget(now)
        for view in self._views.values():
            view.forget()

    def _measure(self, now: dt.datetime, part: int | None = None) -> None:
        """Of the tenants that are watched: a part of them at each flush, so that all of them hold up none."""
        for number, view in self._views.items():
            if part in (None, number % COHORTS):
                view.tenant.measure(now)

    def _judge(self, now: dt.datetime, part: int | None = None) -> None:
        """Of every tenant, as `_measure`."""
        for number in self._alerts.keys() | self._state.tenants.keys():
            if part not in (None, number % COHORTS):
                continue
            mine = self._alerts.setdefault(number, Alerts(number))
            if changed := mine.step(values(self._state.tenants[number], now), now):
                self._tell(number, changed)

    def _tell(self, number: int, changed: list[Alert]) -> None:
        self._changed_alerts[number] += changed
        self._write(number, changed)

    def _flush(self, cohort: int | None = None) -> None:
        """As `Room.flush`, of every room."""
        self._data_at = self._state.data_at()
        for (number, _), room in self._rooms.items():
            room.flush(cohort, self._changed_alerts.get(number, ()))
        self._state.settle()
        self._changed_alerts.clear()


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)
