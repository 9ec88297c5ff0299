"""What of a plan the state hangs on, and what of it may change."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from flink_jobs.compiled_plan import NO_TTL, differences, disable_ttl, renumber, state_fingerprints

VERSION = {"name": "version", "kind": "COMPUTED", "expression": "281474976710656 + offset * 2"}


def plan() -> dict[str, Any]:
    options = {"topic": "cdc.surveys", "properties.sasl.jaas.config": "a password"}
    source = {
        "table": {
            "resolvedTable": {
                "schema": {"columns": [VERSION, {"name": "op", "dataType": "STRING"}]},
                "options": options,
            }
        }
    }
    state = [{"index": 0, "ttl": "60 h", "name": "rankState"}]
    return {
        "nodes": [
            {
                "id": 1,
                "type": "stream-exec-table-source-scan_1",
                "scanTableSource": source,
                "outputType": "ROW<a, b>",
            },
            {"id": 2, "type": "stream-exec-calc_1", "projection": ["a"], "outputType": "ROW<a>"},
            {
                "id": 3,
                "type": "stream-exec-rank_1",
                "partition": [0],
                "state": state,
                "description": "Rank(a)",
                "outputType": "ROW<a>",
            },
        ],
        "edges": [{"source": 1, "target": 2}, {"source": 2, "target": 3}],
    }


def changed(*path: Any, to: Any) -> list[str]:
    other = copy.deepcopy(plan())
    index: Any = other
    for step in path[:-1]:
        index = index[step]
    index[path[-1]] = to
    return differences(state_fingerprints(plan()), state_fingerprints(other))


def test_only_operators_with_state_are_known_and_no_option_s_value() -> None:
    known = state_fingerprints(plan())
    assert list(known) == ["1 table-source-scan", "3 rank"]
    assert "password" not in str(known)


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("nodes", 1, "projection"), ["b"]),
        (("nodes", 2, "description"), "Rank(b)"),
        (("nodes", 2, "state", 0, "ttl"), "90 h"),
        (
            (
                "nodes",
                0,
                "scanTableSource",
                "table",
                "resolvedTable",
                "options",
                "properties.sasl.jaas.config",
            ),
            "another",
        ),
        (("nodes", 0, "outputType"), "ROW<a, b, c>"),
    ],
)
def test_what_no_state_hangs_on_may_change(path: tuple[Any, ...], to: Any) -> None:
    assert changed(*path, to=to) == []


@pytest.mark.parametrize(
    ("path", "to", "line"),
    [
        (("nodes", 1, "outputType"), "ROW<a BIGINT>", "operator 3 rank keeps another state"),
        (("nodes", 2, "partition"), [1], "operator 3 rank keeps another state"),
        (("nodes", 2, "state", 0, "name"), "other", "operator 3 rank keeps another state"),
        (("nodes", 2, "state", 0, "ttl"), NO_TTL, "operator 3 rank keeps another state"),
        (
            ("nodes", 0, "scanTableSource", "table", "resolvedTable", "options", "topic"),
            "cdc.other",
            "operator 1 table-source-scan keeps another state",
        ),
        (
            ("nodes", 0, "scanTableSource", "table", "resolvedTable", "schema", "columns", 0, "expression"),
            "562949953421312 + offset * 2",
            "operator 1 table-source-scan keeps another state",
        ),
    ],
)
def test_what_state_hangs_on_may_not(path: tuple[Any, ...], to: Any, line: str) -> None:
    assert changed(*path, to=to) == [line]


def test_an_operator_that_moves_is_lost_and_missing() -> None:
    assert set(changed("nodes", 2, "id", to=4)) == {"operator 3 rank is gone", "operator 4 rank is new"}


def test_ids_do_not_hang_on_what_was_planned_before() -> None:
    later = copy.deepcopy(plan())
    for node in later["nodes"]:
        node["id"] += 70
    for edge in later["edges"]:
        edge["source"], edge["target"] = edge["source"] + 70, edge["target"] + 70
    renumber(later)
    assert later == plan()


def kept(node: dict[str, Any], *sources: str) -> list[bool]:
    """Which of the states of a node that reads these topics are kept for good."""
    scans = [
        {"id": renumber, "scanTableSource": {"table": {"resolvedTable": {"options": {"topic": topic}}}}}
        for renumber, topic in enumerate(sources, 1)
    ]
    states = [
        {"index": index, "ttl": "14 d", "name": str(index)}
        for index in range(len(sources) if node["type"] == "join" else 1)
    ]
    plan = {
        "nodes": [*scans, {**node, "id": 9, "state": states}],
        "edges": [{"source": scan["id"], "target": 9} for scan in scans],
    }
    disable_ttl(plan, {"cdc.agents", "cdc.teams"}, {"agent_id", "account_id"})
    return [state["ttl"] == NO_TTL for state in states]


def grouped(*columns: str) -> dict[str, Any]:
    return {
        "type": "aggregate",
        "grouping": list(range(len(columns))),
        "outputType": f"ROW<{', '.join(f'`{name}` BIGINT' for name in columns)}>",
    }


def test_what_is_kept_of_metadata_is_kept_for_good_and_of_contacts_is_not() -> None:
    assert kept({"type": "rank"}, "cdc.agents") == [True]
    assert kept({"type": "rank"}, "cdc.interactions") == [False]
    assert kept({"type": "join"}, "cdc.interactions", "cdc.agents") == [False, True]


def test_what_is_kept_once_an_agent_is_kept_for_good() -> None:
    assert kept(grouped("account_id", "agent_id"), "cdc.interactions") == [True]
    assert kept(grouped("account_id", "interaction_id"), "cdc.interactions") == [False]
    times = {"type": "ROW", "fields": [{"name": "agent_id"}, {"name": "minute"}]}
    assert kept({**grouped("agent_id", "minute"), "outputType": times}, "cdc.interactions") == [False]


def test_an_operator_with_undeclared_state_is_assumed_to_have_one() -> None:
    form = {
        "id": 4,
        "type": "stream-exec-over-aggregate_1",
        "overSpec": {"partition": [0]},
        "outputType": "ROW<a>",
    }
    one, other = plan(), plan()
    one["nodes"].append(form)
    other["nodes"].append({**form, "overSpec": {"partition": [1]}})
    assert differences(state_fingerprints(one), state_fingerprints(other)) == [
        "operator 4 over-aggregate keeps another state"
    ]
