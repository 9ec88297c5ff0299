"""DDL that changes rows without a change event, found in Debezium's schema history and remembered as a table's state.

How a record is read comes from its own schema; from the history comes only which rows must be read again, and where.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, TopicPartition
from sqlalchemy import select

from core.clients.kafka import partition_reader
from core.control import ControlDatabase
from core.control.models import Run, utc_now
from core.control.states import BACKFILL, FROZEN, mark
from core.errors import TransientError
from core.settings import KafkaEndpoint
from core.wire.history import Place
from core.wire.history import columns as columns_of
from core.wire.history import place as place_of
from schemas.catalog import Catalog
from schemas.render.connect import history_topic

SEEN = "ddl"
WIDER = ("TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT")
DROP_DATABASE = re.compile(r"DROP\s+(DATABASE|SCHEMA)\b", re.IGNORECASE)
RENAMED = re.compile(r"\bRENAME\s+(TO|AS)\b|^RENAME\s+TABLE\b", re.IGNORECASE)
GENERATED = re.compile(r"\bAS\s*\(", re.IGNORECASE)
Columns = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Change:
    """What one DDL statement did to one table: `state` is what it puts the table of that shard in, if anything."""

    offset: int
    database: str
    table: str
    state: str | None
    reason: str


def remember(kafka: KafkaEndpoint, control: ControlDatabase, catalog: Catalog, server: str) -> list[Change]:
    """Marks the tables that DDL since the last call has put in doubt; returns those changes. Blocks up to 60 s."""
    seen = _seen(control, server)
    new, last = [], seen
    for change in changes(_history(kafka, server)):
        last = max(last, change.offset)
        tables = [table.name for table in catalog if table.name == change.table and table.source.holds(change.database)]
        if change.offset > seen and change.state is not None and tables:
            mark(control, change.table, change.database, change.state, change.reason)
            new.append(change)
    if last > seen:
        with control.session() as session:
            session.add(Run(kind=SEEN, subject=server, status="COMPLETED", detail={"offset": last}, ended_at=utc_now()))
    return new


def _seen(control: ControlDatabase, server: str) -> int:
    with control.session() as session:
        run = session.scalar(select(Run).where(Run.kind == SEEN, Run.subject == server).order_by(Run.id.desc()).limit(1))
        return -1 if run is None else int(run.detail["offset"])


def changes(history: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[Change]:
    """Every table change of the history, in order."""
    known: dict[Place, Columns] = {}
    for offset, record in history:
        database, ddl = str(record.get("databaseName") or ""), " ".join(str(record.get("ddl") or "").split())[:200]
        for place in [place for place in known if place[0] == database] if DROP_DATABASE.match(ddl) else []:
            yield _lost(offset, place, ddl, known)
        for item in record.get("tableChanges") or ():
            yield from _changes(offset, database, ddl, item, known)


def _changes(offset: int, database: str, ddl: str, item: dict[str, Any], known: dict[Place, Columns]) -> Iterator[Change]:
    place = place_of(item["id"], database)
    if item["type"] == "DROP":
        if place in known:
            yield _lost(offset, place, ddl, known)
        return
    before = place_of(item["previousId"], database) if item.get("previousId") else place
    if before != place and before in known:
        yield _lost(offset, before, ddl, known)
    columns = columns_of(item)
    doubt = _doubt(item["type"], ddl, known.get(place), columns)
    known[place] = columns
    yield Change(offset, *place, BACKFILL if doubt else None, f"{doubt}: {ddl}" if doubt else "")


def _lost(offset: int, place: Place, ddl: str, known: dict[Place, Columns]) -> Change:
    del known[place]
    return Change(offset, *place, FROZEN, f"the source's rows went with {ddl}")


def _doubt(kind: str, ddl: str, before: Columns | None, after: Columns) -> str:
    """Why rows may differ from what was published of them; empty if they cannot."""
    if kind == "ALTER" and (before is None or RENAMED.search(ddl)):
        return "rows came with a renamed table"
    if kind == "CREATE" or before is None:
        return ""
    gone = before.keys() - after.keys()
    for name, column in after.items():
        if name not in before:
            if gone:
                return f"column {name!r} may be one that was renamed"
            if not column["optional"] or column.get("defaultValueExpression") is not None or GENERATED.search(ddl):
                return f"column {name!r} has values that no event told"
        elif _converts(before[name], column):
            return f"column {name!r} has another type"
    return ""


def _converts(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether values may have changed with the type: not in a wider integer, nor in a longer text of the same kind."""
    if before["optional"] and not after["optional"]:
        return True
    old, new = before["typeName"].upper().split(), after["typeName"].upper().split()
    if old != new:
        return not (old[0] in WIDER and new[0] in WIDER and old[1:] == new[1:] and WIDER.index(new[0]) > WIDER.index(old[0]))
    members = before.get("enumValues") or []
    if before.get("scale") != after.get("scale") or (after.get("enumValues") or [])[: len(members)] != members:
        return True
    return before.get("charsetName") != after.get("charsetName") or (after.get("length") or 0) < (before.get("length") or 0)


def _history(kafka: KafkaEndpoint, server: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(offset, record) of the server's schema history, up to its end. Blocks up to 60 s on silence."""
    reader = partition_reader(kafka)
    topic = history_topic(server)
    try:
        reader.assign([TopicPartition(topic, 0, 0)])
        while (message := reader.poll(60)) is not None:
            error = message.error()
            if error is None:
                yield message.offset() or 0, json.loads(message.value() or b"{}")
            elif error.code() == KafkaError._PARTITION_EOF:
                return
            else:
                raise TransientError(f"{topic} cannot be read: {error.str()}", "run `switchboard apply`")
        raise TransientError(f"{topic} cannot be read: no answer in 60 s", "is Kafka running?")
    finally:
        reader.close()
