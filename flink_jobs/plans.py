"""What of a job's compiled plan its state hangs on, so that a changed query says whether its state still fits.

A job is submitted by its plan, in which every operator has an id of its own: Flink finds an operator's state by it again.
The ids are numbers from the sources on, the same each time the same query is planned.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

Operators = dict[str, str]
"""Of each operator that keeps state: ``4 rank`` -> a digest of all that the form of its state follows from."""


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
    if "state" not in node:
        return None
    kept = {name: value for name, value in node.items() if name not in ("id", "description", "configuration", "state", "inputProperties")}
    return [kept, [state["name"] for state in node["state"]]]


def differences(old: Operators, new: Operators) -> list[str]:
    """A line for each operator whose state would be lost, or missing; none where the state fits."""
    return [
        *(f"operator {name} is gone" for name in old if name not in new),
        *(f"operator {name} is new" for name in new if name not in old),
        *(f"operator {name} keeps another state" for name in old if name in new and old[name] != new[name]),
    ]
