"""Alerts rise at their thresholds, fall behind a margin, and waver not."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from streamer.auth import Caller
from streamer.sample.alerts import RULES, VISIBLE_AFTER_CLEAR, Alert, Alerts, Subject, values
from streamer.sample.hub import Hub
from streamer.sample.state import State
from streamer.sample.tenant import Tenant
from streamer.sample.windows import Counts
from tests.unit.streamer.test_hub import ALL, TEN, Client, agent, gone, queue, taken

NOW = dt.datetime(2026, 11, 23, 12)
SECOND = dt.timedelta(seconds=1)
WAIT = Subject("longest_wait", 9)


def levels(alerts: list[Alert]) -> list[tuple[str, bool]]:
    return [(alert.level, alert.cleared_at is not None) for alert in alerts]


def test_a_wait_that_grows_and_ends() -> None:
    alerts = Alerts(1)
    assert levels(alerts.evaluate({WAIT: 59.9}, NOW)) == []
    assert levels(alerts.evaluate({WAIT: 60}, NOW)) == [("warning", False)]
    assert levels(alerts.evaluate({WAIT: 55}, NOW)) == [], "within the margin"
    assert levels(alerts.evaluate({WAIT: 180}, NOW + SECOND)) == [("warning", True), ("critical", False)]
    assert levels(alerts.evaluate({WAIT: 170}, NOW + SECOND)) == []
    assert levels(alerts.evaluate({WAIT: 100}, NOW + 2 * SECOND)) == [("critical", True), ("warning", False)]
    assert levels(alerts.evaluate({}, NOW + 3 * SECOND)) == [("warning", True)], "nobody waits"
    assert levels(alerts.visible) == [("warning", True), ("critical", True), ("warning", True)]
    alerts.evaluate({}, NOW + 4 * SECOND + VISIBLE_AFTER_CLEAR)
    assert alerts.visible == []


def test_a_lower_service_level_is_worse() -> None:
    alerts, level = Alerts(1), Subject("service_level", 9)
    assert levels(alerts.evaluate({level: 0.81}, NOW)) == []
    assert levels(alerts.evaluate({level: 0.8}, NOW)) == [("warning", False)]
    assert levels(alerts.evaluate({level: 0.87}, NOW)) == []
    assert levels(alerts.evaluate({level: 0.5}, NOW + SECOND)) == [("warning", True), ("critical", False)]
    assert levels(alerts.evaluate({level: 0.95}, NOW + SECOND)) == [("critical", True)]


@given(st.lists(st.floats(0, 400), max_size=60))
def test_oscillation_within_the_margin_changes_nothing(found: list[float]) -> None:
    alerts, rule, level = Alerts(1), RULES["longest_wait"], None
    for second, value in enumerate(found):
        changed = alerts.evaluate({WAIT: value}, NOW + second * SECOND)
        after = next((alert.level for alert in alerts.visible if alert.cleared_at is None), None)
        assert bool(changed) == (after != level)
        if after is not None:
            assert value > rule.threshold(after) * 0.9
        if value >= rule.warning:
            assert after is not None
        level = after


def test_the_first_acknowledgement_is_kept() -> None:
    alerts = Alerts(1)
    (raised,) = alerts.evaluate({WAIT: 70}, NOW)
    first = alerts.acknowledge(raised.id, "ada", NOW)
    assert first is not None
    assert alerts.acknowledge(raised.id, "bob", NOW + SECOND) == first
    assert alerts.acknowledge("unknown", "bob", NOW) is None


def test_values_are_taken_as_of_now() -> None:
    tenant = Tenant()
    tenant.queues[9] = {"waiting": 2, "oldest_waiting_since": NOW - 90 * SECOND}
    tenant.agents[1] = {"state": "after-contact work", "since": NOW - 200 * SECOND}
    tenant.agents[2] = {"state": "available", "since": NOW - 900 * SECOND}
    assert values(tenant, NOW) == {
        Subject("waiting", 9): 2,
        WAIT: 90,
        Subject("time_in_state", agent_id=1): 200,
    }
    tenant.windows[9].put(NOW - dt.timedelta(minutes=29), Counts(answered=5, within_target=4), 0)
    tenant.windows[9].put(NOW - dt.timedelta(minutes=30), Counts(answered=5), 0)
    assert values(tenant, NOW)[Subject("service_level", 9)] == 0.8


def test_an_agent_s_alert_is_visible_to_callers_who_see_the_agent() -> None:
    hub = Hub(State())
    hub.apply([agent(1, 1, "after-contact work", since=NOW)])
    hub._evaluate_alerts(NOW + 301 * SECOND)
    others = Caller("bob", 1, frozenset((11,)), 4e9)
    message = taken(hub.join(ALL))
    assert message is not None
    (shown,) = message.alerts
    assert not (taken(hub.join(others)) or message).alerts
    assert hub.acknowledge(others, shown.alert_id) is None
    acknowledged = hub.acknowledge(ALL, shown.alert_id)
    assert acknowledged is not None
    assert acknowledged.acknowledged_by == "ada"


def test_an_alert_leaves_and_comes_with_its_agent() -> None:
    hub, page, other = Hub(State()), Client(), Client()
    hub.apply([agent(1, 1, "after-contact work", team=10, since=NOW)])
    old, new = hub.join(TEN), hub.join(Caller("bob", 1, frozenset((11,)), 4e9))
    hub._evaluate_alerts(NOW + 301 * SECOND)
    hub._flush()
    page.take(taken(old))
    assert list(page.active_alerts.values()) == [1]
    hub.apply([agent(1, 2, "after-contact work", team=11, since=NOW)])
    hub._flush()
    page.take(taken(old))
    other.take(taken(new))
    assert (list(page.active_alerts), list(other.active_alerts.values())) == ([], [1])
    hub.apply([gone(1, 3)])
    hub._evaluate_alerts(NOW + 302 * SECOND)
    hub._flush()
    other.take(taken(new))
    assert list(other.active_alerts) == [], "the agent is deleted"


def test_a_queue_s_alert_is_visible_to_the_teams_that_serve_it() -> None:
    hub = Hub(State())
    hub.apply([queue(1, waiting=20), agent(1, 1, team=10, queues="[1]")])
    hub._evaluate_alerts(NOW)
    shown = taken(hub.join(TEN))
    assert shown is not None
    assert [alert.queue_id for alert in shown.alerts] == [1]
    others = Caller("bob", 1, frozenset((11,)), 4e9)
    assert not (taken(hub.join(others)) or shown).alerts
    assert hub.acknowledge(others, shown.alerts[0].alert_id) is None


def test_of_two_restored_alerts_of_one_subject_the_older_is_cleared() -> None:
    old = Alert("old", Subject("waiting", 1), "warning", 5, 5, NOW)
    new, other = (
        replace(old, id="new", raised_at=NOW + SECOND),
        Alert("other", Subject("waiting", 2), "warning", 5, 5, NOW),
    )
    written: list[tuple[int, Alert]] = []
    hub = Hub(State(), lambda tenant, alerts: written.extend((tenant, alert) for alert in alerts))
    hub.restore_alerts([(1, new), (1, old), (1, other), (2, old)])
    assert [(tenant, alert.id, alert.cleared_at is not None) for tenant, alert in written] == [
        (1, "old", True)
    ]
    assert {alert.id for alert in hub._visible_alerts(1)} == {"new", "other"}
