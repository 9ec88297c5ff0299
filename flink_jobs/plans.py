"""A job's compiled plan: what its state hangs on, so that a changed query says whether it still fits, and what of it is kept for good.

A job is submitted by its plan, in which every operator has an id of its own: Flink finds an operator's state by it again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Set as AbstractSet
from typing import Any

FOR_GOOD = "0 ms"
"""A time to live, as Flink writes that there is none."""
STATELESS = frozenset(  # a local aggregate hands over what it holds before each checkpoint
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
"""Whatever is not among these is taken to keep state, whether its plan tells of it (``state``) or not, as that of OVER does not."""
Operators = dict[str, str]
"""Of each operator that keeps state: ``4 rank`` -> a digest of all that the form of its state follows from."""


def number(plan: dict[str, Any]) -> None:
    """Gives the operators ids from 1 on, in place: Flink's go on from the plan before, if one process compiles several."""
    numbers = {node["id"]: place for place, node in enumerate(plan["nodes"], 1)}
    for node in plan["nodes"]:
        node["id"] = numbers[node["id"]]
    for edge in plan["edges"]:
        edge["source"], edge["target"] = numbers[edge["source"]], numbers[edge["target"]]


def operators(plan: dict[str, Any]) -> Operators:
    """From Flink's JSON of a compiled plan. No value of an option is kept: there may be passwords among them."""
    nodes = {node["id"]: node for node in plan["nodes"]}
    inputs: dict[int, list[Any]] = {}
    for edge in plan["edges"]:
        inputs.setdefault(edge["target"], []).append(nodes[edge["source"]]["outputType"])
    return {
        f"{node['id']} {_kind(node)}": hashlib.sha256(json.dumps([form, inputs.get(node["id"], [])], sort_keys=True).encode()).hexdigest()
        for node in plan["nodes"]
        if (form := _form(node)) is not None
    }


def _kind(node: dict[str, Any]) -> str:
    return str(node["type"]).removeprefix("stream-exec-").rpartition("_")[0]


def _form(node: dict[str, Any]) -> Any:
    """None of an operator without state."""
    if "scanTableSource" in node:
        table = node["scanTableSource"]["table"]["resolvedTable"]
        version = [column for column in table["schema"]["columns"] if column["name"] == "version"]
        return [table["options"]["topic"], version]  # the version's formula has the topic's generation
    if "dynamicTableSink" in node:
        return [node["dynamicTableSink"]["table"]["resolvedTable"]["options"]["topic"], node.get("inputUpsertKey")]
    if "state" not in node and _kind(node) in STATELESS:
        return None
    kept = {name: value for name, value in node.items() if name not in ("id", "description", "configuration", "state", "inputProperties")}
    return [kept, [[state["name"], state["ttl"] == FOR_GOOD] for state in node.get("state", ())]]


def differences(old: Operators, new: Operators) -> list[str]:
    """A line for each operator whose state would be lost, or missing; none where the state fits."""
    return [
        *(f"operator {name} is gone" for name in old if name not in new),
        *(f"operator {name} is new" for name in new if name not in old),
        *(f"operator {name} keeps another state" for name in old if name in new and old[name] != new[name]),
    ]


def keep(plan: dict[str, Any], lasting: AbstractSet[str], entities: AbstractSet[str]) -> None:
    """Takes the time to live from the state that cannot grow with time, in place: who an agent is must not be forgotten over a weekend.

    Such is what is kept of the topics `lasting`, whose tables grow with the tenants alone, and what is kept once for each
    value of columns of `entities`, the keys of those tables.
    """
    sources: dict[int, list[int]] = {}
    for edge in plan["edges"]:
        sources.setdefault(edge["target"], []).append(edge["source"])
    bounded: dict[int, bool] = {}
    for node in plan["nodes"]:  # each stands after what it reads
        inputs = [bounded[source] for source in sources.get(node["id"], [])]
        once_each = "grouping" in node and _grouped(node) <= entities
        if "scanTableSource" in node:
            bounded[node["id"]] = node["scanTableSource"]["table"]["resolvedTable"]["options"]["topic"] in lasting
        else:
            bounded[node["id"]] = once_each or all(inputs)
        for state in node.get("state", ()):
            if once_each or (inputs[state["index"]] if len(inputs) > 1 else all(inputs)):
                state["ttl"] = FOR_GOOD


def _grouped(node: dict[str, Any]) -> set[str]:
    """The columns that an aggregation groups by: its output begins with them."""
    form = node["outputType"]  # text, or an object if a column is a time
    names = re.findall(r"`([^`]+)` ", form) if isinstance(form, str) else [field["name"] for field in form["fields"]]
    return set(names[: len(node["grouping"])])
