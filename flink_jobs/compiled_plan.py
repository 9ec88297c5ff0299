"""A job's compiled plan: fingerprints of its state, to check a changed query for compatibility, and which
state has no TTL.

A job is submitted as a plan, in which every operator has an id: Flink finds an operator's state by it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Set as AbstractSet
from typing import Any

NO_TTL = "0 ms"
"""Flink's notation of a state without a time to live."""
STATELESS = frozenset(  # a local aggregate emits its rows before each checkpoint
    (
        "calc",
        "correlate",
        "drop-update-before",
        "exchange",
        "expand",
        "local-group-aggregate",
        "mini-batch-assigner",
        "union",
        "values",
        "watermark-assigner",
    )
)
"""Every other operator is assumed to have state, even if its plan does not declare it (``state``), as OVER's
does not."""
StateFingerprints = dict[str, str]
"""Operator with state, such as ``4 rank`` -> a digest of everything that determines the layout of its state.
"""


def renumber(plan: dict[str, Any]) -> None:
    """Renumbers the operators from 1, in place: Flink's ids continue over all plans that a process
    compiles."""
    new_ids = {node["id"]: index for index, node in enumerate(plan["nodes"], 1)}
    for node in plan["nodes"]:
        node["id"] = new_ids[node["id"]]
    for edge in plan["edges"]:
        edge["source"], edge["target"] = new_ids[edge["source"]], new_ids[edge["target"]]


def state_fingerprints(plan: dict[str, Any]) -> StateFingerprints:
    """Returns the fingerprints of Flink's JSON of a compiled plan.

    No option value is stored: it may be a password.
    """
    nodes = {node["id"]: node for node in plan["nodes"]}
    inputs: dict[int, list[Any]] = {}
    for edge in plan["edges"]:
        inputs.setdefault(edge["target"], []).append(nodes[edge["source"]]["outputType"])
    return {
        f"{node['id']} {_kind(node)}": hashlib.sha256(
            json.dumps([form, inputs.get(node["id"], [])], sort_keys=True).encode()
        ).hexdigest()
        for node in plan["nodes"]
        if (form := _form(node)) is not None
    }


def _kind(node: dict[str, Any]) -> str:
    return str(node["type"]).removeprefix("stream-exec-").rpartition("_")[0]


def _form(node: dict[str, Any]) -> Any:
    """Returns what determines the layout of the operator's state; None without state."""
    if "scanTableSource" in node:
        table = node["scanTableSource"]["table"]["resolvedTable"]
        version = [column for column in table["schema"]["columns"] if column["name"] == "version"]
        return [table["options"]["topic"], version]  # the version's formula has the topic's generation
    if "dynamicTableSink" in node:
        return [
            node["dynamicTableSink"]["table"]["resolvedTable"]["options"]["topic"],
            node.get("inputUpsertKey"),
        ]
    if "state" not in node and _kind(node) in STATELESS:
        return None
    kept = {
        name: value
        for name, value in node.items()
        if name not in ("id", "description", "configuration", "state", "inputProperties")
    }
    return [kept, [[state["name"], state["ttl"] == NO_TTL] for state in node.get("state", ())]]


def differences(old: StateFingerprints, new: StateFingerprints) -> list[str]:
    """Returns a line for each operator whose state would be lost or missing; none if the state is
    compatible."""
    return [
        *(f"operator {name} is gone" for name in old if name not in new),
        *(f"operator {name} is new" for name in new if name not in old),
        *(f"operator {name} keeps another state" for name in old if name in new and old[name] != new[name]),
    ]


def disable_ttl(plan: dict[str, Any], unbounded: AbstractSet[str], entities: AbstractSet[str]) -> None:
    """Removes the TTL of state that does not grow with time, in place: an agent's name must not expire over a
    weekend.

    That is the state of the topics `unbounded`, whose tables grow only with the tenants, and state that is
    kept once for each value of columns of `entities`, the keys of those tables.
    """
    sources: dict[int, list[int]] = {}
    for edge in plan["edges"]:
        sources.setdefault(edge["target"], []).append(edge["source"])
    bounded: dict[int, bool] = {}
    for node in plan["nodes"]:  # inputs precede the operators that read them
        inputs = [bounded[source] for source in sources.get(node["id"], [])]
        once_each = "grouping" in node and _grouped(node) <= entities
        if "scanTableSource" in node:
            bounded[node["id"]] = (
                node["scanTableSource"]["table"]["resolvedTable"]["options"]["topic"] in unbounded
            )
        else:
            bounded[node["id"]] = once_each or all(inputs)
        for state in node.get("state", ()):
            if once_each or (inputs[state["index"]] if len(inputs) > 1 else all(inputs)):
                state["ttl"] = NO_TTL


def _grouped(node: dict[str, Any]) -> set[str]:
    """Returns the columns that an aggregation groups by, which are the first of its output."""
    form = node["outputType"]  # text, or an object if a column is a timestamp
    names = (
        re.findall(r"`([^`]+)` ", form)
        if isinstance(form, str)
        else [field["name"] for field in form["fields"]]
    )
    return set(names[: len(node["grouping"])])
