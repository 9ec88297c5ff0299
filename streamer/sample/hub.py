"""Fans the state out to all subscribers: changes are merged by entity, and only the newest is sent.

Subscribers of one tenant and the same teams share each message and its bytes; those of one tenant share the
bytes of each agent and queue. A slow subscriber receives everything it missed in one message, at most as
large as the view; nobody waits for it.
"""

from __future__ import annotations

import asyncio
import datetime as dt
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from core import logging, metrics
from core.clock import Clock, system, utc_now
from streamer.auth import Caller
from streamer.sample.alerts import Alert, Alerts, values
from streamer.sample.encoded_view import EncodedView
from streamer.sample.state import Change, Sources, State
from streamer.sample.subscriber import Subscriber
from streamer.sample.subscriber_group import COHORTS, Moment, SubscriberGroup, concerns
from streamer.sample.tenant import View

FLUSH_SECONDS = 0.05
FLUSHES_BETWEEN_CLEANUPS = 60 * COHORTS
"""One clean-up in a minute."""
log = logging.get("streamer")


class Hub:
    """Used from one event loop."""

    def __init__(
        self,
        state: State,
        write: Callable[[int, list[Alert]], None] = lambda *_: None,
        clock: Clock = system,
    ) -> None:
        """`write` is called with a tenant and its alerts that changed."""
        self._state = state
        self._write = write
        self._now = partial(utc_now, clock)
        self._groups: dict[View, SubscriberGroup] = {}
        self._views: dict[int, EncodedView] = {}
        self._data_at: dict[int, int] = {}
        self._alerts: dict[int, Alerts] = {}
        self._changed_alerts: dict[int, list[Alert]] = defaultdict(list)
        self._joined = 0
        self._flushes = 0

    @property
    def watchers(self) -> int:
        return sum(len(group.subscribers) for group in self._groups.values())

    def apply(self, changes: Iterable[Change]) -> None:
        """Applies changes to the state; one that cannot be applied is logged and skipped."""
        for change in changes:
            try:
                self._state.apply(change)
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                metrics.UNREADABLE_RESULTS.labels(change.table).inc()
                log.error(
                    "a record cannot be applied", table=change.table, key=str(change.key), error=str(error)
                )

    def replace_state(self, state: State) -> None:
        """Continues with another state, and sends a snapshot of it to every subscriber."""
        state.clear_changed()
        self._state, self._views = state, {}
        self._data_at = state.data_at()
        for view, group in self._groups.items():
            group.replace_view(self._encoded_view(view.tenant))

    def set_time_zones(self, zones: Mapping[int, str]) -> None:
        """As `State.set_time_zones`."""
        self._state.set_time_zones(zones)

    def set_sources(self, sources: Sources) -> None:
        """As `State.set_sources`."""
        self._state.set_sources(sources)

    def join(self, caller: Caller) -> Subscriber:
        """Returns a new subscriber, whose first message is a snapshot."""
        view = View(caller.tenant, caller.teams)
        if view not in self._groups:
            self._groups[view] = self._new_group(view)
        self._joined += 1
        return self._groups[view].join(self._joined)

    def leave(self, caller: Caller, subscriber: Subscriber) -> None:
        view = View(caller.tenant, caller.teams)
        self._groups[view].leave(subscriber)
        if not self._groups[view].subscribers:
            del self._groups[view]
            if caller.tenant not in {other.tenant for other in self._groups}:
                self._views.pop(caller.tenant, None)

    def _new_group(self, view: View) -> SubscriberGroup:
        return SubscriberGroup(
            self._encoded_view(view.tenant),
            view.teams,
            partial(self._moment, view.tenant),
            partial(self._visible_alerts, view.tenant),
        )

    def _encoded_view(self, number: int) -> EncodedView:
        if number not in self._views:
            self._views[number] = EncodedView(self._state.tenants[number])
            self._state.tenants[number].measure(self._now())
            self._data_at = self._state.data_at()
        return self._views[number]

    def _moment(self, number: int) -> Moment:
        return Moment(self._now(), self._data_at.get(number, 0))

    def _visible_alerts(self, number: int) -> list[Alert]:
        return self._alerts[number].visible if number in self._alerts else []

    def acknowledge(self, caller: Caller, identity: str) -> Alert | None:
        """Returns the alert and sends it to the tenant's subscribers; None if the caller sees no such
        alert."""
        tenant = self._state.tenants[caller.tenant]
        if identity not in [
            alert.id for alert in self._visible_alerts(caller.tenant) if concerns(tenant, alert, caller.teams)
        ]:
            return None
        alert = self._alerts[caller.tenant].acknowledge(identity, caller.name, self._now())
        if alert is not None:
            self._publish(caller.tenant, [alert])
        return alert

    def restore_alerts(self, active: Iterable[tuple[int, Alert]]) -> None:
        """Restores (tenant, alert) pairs that were active when a streamer ended; called before alerts are
        evaluated.

        Of several alerts of one subject, which two streamers may leave, the newest stays active and the
        others are cleared.
        """
        by_tenant: dict[int, list[Alert]] = defaultdict(list)
        for tenant, alert in sorted(active, key=lambda item: item[1].raised_at):
            by_tenant[tenant].append(alert)
        for tenant, alerts in by_tenant.items():
            newest = {alert.subject: alert for alert in alerts}
            self._alerts[tenant] = Alerts(tenant, active=newest.values())
            duplicates = [alert for alert in alerts if newest[alert.subject] is not alert]
            if duplicates:
                now = self._now()
                self._write(tenant, [replace(alert, cleared_at=now) for alert in duplicates])

    def sees_agent(self, caller: Caller, agent: int) -> bool:
        return self._state.tenants[caller.tenant].sees_agent(agent, caller.teams)

    def close(self) -> None:
        for group in self._groups.values():
            for subscriber in group.subscribers:
                subscriber.close()

    async def run(self) -> None:
        """Sends changes twenty times a second, and every queue's windows each second, as they move with time.

        Runs until cancelled.
        """
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            self._flushes += 1
            cohort = self._flushes % COHORTS
            if self._flushes % FLUSHES_BETWEEN_CLEANUPS == 0:
                self._forget(self._now())
            if cohort == 0:
                metrics.WATCHERS.set(self.watchers)
                metrics.NEWEST_COMMIT.set(self._state.newest_ms / 1000)
            self._measure(self._now(), cohort)
            self._evaluate_alerts(self._now(), cohort)
            self._flush(cohort)

    def _forget(self, now: dt.datetime) -> None:
        self._state.forget(now)
        for view in self._views.values():
            view.forget()

    def _measure(self, now: dt.datetime, cohort: int | None = None) -> None:
        """Measures the subscribed tenants; with `cohort` only those of the cohort, to spread the work over
        flushes."""
        for number, view in self._views.items():
            if cohort in (None, number % COHORTS):
                view.tenant.measure(now)

    def _evaluate_alerts(self, now: dt.datetime, cohort: int | None = None) -> None:
        """Evaluates the alerts of every tenant, or of the cohort."""
        for number in self._alerts.keys() | self._state.tenants.keys():
            if cohort not in (None, number % COHORTS):
                continue
            alerts = self._alerts.setdefault(number, Alerts(number))
            if changed := alerts.evaluate(values(self._state.tenants[number], now), now):
                self._publish(number, changed)

    def _publish(self, number: int, changed: list[Alert]) -> None:
        self._changed_alerts[number] += changed
        self._write(number, changed)

    def _flush(self, cohort: int | None = None) -> None:
        """Flushes every group, as `SubscriberGroup.flush`."""
        self._data_at = self._state.data_at()
        for view, group in self._groups.items():
            group.flush(cohort, self._changed_alerts.get(view.tenant, ()))
        self._state.clear_changed()
        self._changed_alerts.clear()
