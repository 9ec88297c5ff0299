"""The live Iceberg catalog takes every contract's schema and keeps its ids."""

from __future__ import annotations

from pyiceberg.catalog import Catalog
from pyiceberg.schema import Schema
from pyiceberg.table.update import AddSchemaUpdate, AssertTableUUID, SetCurrentSchemaUpdate

from schemas.catalog import load
from schemas.render import iceberg
from schemas.table import Table
from tests.conftest import Space
from tests.pipeline import CONTRACTS
from tests.stack.conftest import Whole


def created(lake: Catalog, namespace: str, contract: Table) -> Schema:
    """The schema that the catalog holds once the contract's has been committed."""
    wanted = Schema.model_validate({**iceberg.schema(contract), "schema-id": 1})
    table = lake.create_table((namespace, iceberg.table_name(contract)), wanted)
    requirement = AssertTableUUID(uuid=table.metadata.table_uuid)
    lake.commit_table(
        table, (requirement,), (AddSchemaUpdate(schema_=wanted), SetCurrentSchemaUpdate(schema_id=-1))
    )
    return lake.load_table((namespace, iceberg.table_name(contract))).schema()


def test_every_contract_s_schema_is_kept_with_its_ids(whole: Whole, space: Space) -> None:
    namespace = space.name("accepts")
    whole.lake.create_namespace(namespace)
    contracts = list(load(str(CONTRACTS)))
    kept = {contract.name: created(whole.lake, namespace, contract) for contract in contracts}
    assert kept == {contract.name: Schema.model_validate(iceberg.schema(contract)) for contract in contracts}
