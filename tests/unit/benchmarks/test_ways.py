"""The other ways of landing follow the landing query, which they take their expressions from."""

from __future__ import annotations

import re

from benchmarks.ways import _view
from benchmarks.workload import contract, envelope
from schemas.render.landing import landing_query

ALIAS = re.compile(r" AS (\w+)")


def test_the_engine_s_view_defines_the_names_that_the_landing_query_reads() -> None:
    table = contract("bench_landing")
    schema = envelope("bench_landing")
    _, _, rows = landing_query(table, schema, generation=1).partition("\nFROM (SELECT *")
    defined = ALIAS.findall(rows.partition("\n")[0])
    assert defined
    assert set(defined) <= set(ALIAS.findall(_view(table, schema, "source", "view").rpartition(" FROM (")[2]))
