"""Random tokens and random requests, narrowed and forged: nobody is shown a row or a column that is not the
token's."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import grpc
import pyarrow as pa
import pytest
import requests

from schemas import privacy as p
from schemas.render.clickhouse import storage_table
from streamer.auth import Privacy
from streamer.gen.switchboard.v1 import live_pb2 as pb
from tests.pipeline import Pipeline, eventually
from tests.soak import scaled
from tests.stack.flink_jobs.centre import Centre
from tests.stack.streamer.server import Server, token, watch
from tests.stack.streamer.test_query import day

REQUESTS = scaled(400, 10_000)
WATCHES = scaled(100, 2000)
FOREIGN = 500_000
"""What another tenant's account is above ours; it has a copy of each of our rows."""
TABLES = {
    "interactions": "interaction_id",
    "agent_activity": "activity_id",
    "agents": "team_id",
    "teams": "team_id",
}
"""Table -> the public column by which the test knows its rows."""
OF_TIME = ("interactions", "agent_activity")
SMUGGLED = ("tenant", "teams", "account_id", "param_tenant", "query", "database", "team_id")
REFUSED = (
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
)


@dataclass(frozen=True)
class Asked:
    table: str
    tenant: int
    teams: tuple[int, ...] | None
    privacy: Privacy
    parameters: Mapping[str, str]
    authorization: str
    forged: bool
    """Its parameters, or its token."""
    forged_token: bool


class Attacker:
    def __init__(self, centre: Centre, seed: int) -> None:
        self._centre = centre
        self._random = Random(seed)

    def ask(self) -> Asked:
        choose = self._random.choice
        table, tenant = choose(list(TABLES)), self._centre.account + choose((0, 0, 0, FOREIGN))
        first, second = self._centre.teams
        teams = choose((None, None, (), (first,), (second,), (first, second), (first, 7), (7,)))
        privacy: Privacy = choose(("public", "public", "clear"))
        parameters = day() if table in OF_TIME else {}
        authorization = own = token(
            tenant, None if teams is None else list(teams), scope="analytics", privacy=privacy
        )
        forged = self._random.random() < 0.3
        if forged:
            parameters, authorization = self._forge(parameters, authorization)
        return Asked(
            table,
            tenant,
            teams,
            privacy,
            parameters,
            authorization,
            forged,
            forged_token=authorization != own,
        )

    def one_of(self, agents: Sequence[int]) -> int:
        return self._random.choice(agents)

    def _forge(self, parameters: dict[str, str], authorization: str) -> tuple[dict[str, str], str]:
        choose = self._random.choice
        if self._random.random() < 0.5:
            value = choose((str(self._centre.account), "[1]", "1 OR 1=1", "x' OR '1'='1"))
            return {**parameters, choose(SMUGGLED): value}, authorization
        header, payload, signature = authorization.removeprefix("Bearer ").split(".")
        claims = decoded(payload) | choose(
            ({"tenant": self._centre.account}, {"teams": None}, {"privacy": "clear"}, {"exp": 1 << 33})
        )
        if choose((True, False)):
            header, signature = encoded({"alg": "none", "typ": "JWT"}), ""
        return parameters, f"Bearer {header}.{encoded(claims | {'sub': 'eve'})}.{signature}"


def decoded(part: str) -> dict[str, Any]:
    return dict(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))))


def encoded(claims: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()


@pytest.fixture
def filled(centre: Centre, pipeline: Pipeline) -> Iterator[dict[str, set[tuple[int, int]]]]:
    """Table -> (row, team) of our tenant; another tenant has a copy of each row."""
    team_of = {agent: centre.teams[agent % 2] for agent in centre.agents}
    rows: dict[str, set[tuple[int, int]]] = {
        "agents": {(team, team) for team in team_of.values()},
        "interactions": set(),
    }
    rows["teams"] = rows["agents"]
    rows["agent_activity"] = {(centre.activity(agent, "break"), team) for agent, team in team_of.items()}
    for agent, team in team_of.items():
        contact = centre.contact()
        centre.move(contact, "ringing", agent)
        rows["interactions"].add((contact, team))
    states = f"SELECT count() FROM realtime.agent_status WHERE account_id = {centre.account}"
    eventually(lambda: pipeline.landed(states) == [(len(team_of),)])
    eventually(lambda: pipeline.equal(*TABLES, shards=(centre.shard, "metadata")))
    for table in TABLES:
        table_name = storage_table(pipeline.catalog[table])
        ours = f"SELECT * FROM {table_name} FINAL WHERE account_id = {centre.account}"
        copied = (
            f"SELECT * REPLACE (toUInt32(account_id + {FOREIGN}) AS account_id, 'foreign' AS _shard) FROM "
            f"({ours})"
        )
        pipeline.clickhouse.command(f"INSERT INTO {table_name} {copied}")
    yield rows
    for table in TABLES:
        pipeline.clickhouse.command(
            f"ALTER TABLE {storage_table(pipeline.catalog[table])} DELETE WHERE _shard = 'foreign'"
        )


def answered(call: Any, asked: Asked) -> pa.Table | grpc.StatusCode:
    request = pb.QueryRequest(name=f"{asked.table}.rows", parameters=asked.parameters)
    try:
        chunks = [
            answer.chunk
            for answer in call(request, metadata=(("authorization", asked.authorization),), timeout=60)
        ]
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return pa.ipc.open_stream(b"".join(chunks)).read_all()


def test_nobody_is_shown_what_is_not_the_token_s(
    server: Server, centre: Centre, pipeline: Pipeline, filled: dict[str, set[tuple[int, int]]]
) -> None:
    attacker, seen, to_rpc_error = Attacker(centre, centre.account), 0, 0
    with grpc.insecure_channel(server.grpc) as channel:
        call = channel.unary_stream(
            "/switchboard.v1.Analytics/Query",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=pb.QueryResponse.FromString,
        )
        for _ in range(REQUESTS):
            asked = attacker.ask()
            answer = answered(call, asked)
            if asked.forged:
                assert answer in REFUSED, asked
                to_rpc_error += 1
                continue
            assert isinstance(answer, pa.Table), (asked, answer)
            seen += answer.num_rows
            assert set(answer.column_names) == columns(pipeline, asked), asked
            assert set(answer.column("account_id").to_pylist()) <= {asked.tenant}, asked
            found = set(answer.column(TABLES[asked.table]).to_pylist())
            if asked.tenant == centre.account or asked.teams is None:
                assert found == {
                    row for row, team in filled[asked.table] if asked.teams is None or team in asked.teams
                }, asked
    assert seen > REQUESTS / 4
    assert to_rpc_error > REQUESTS / 5


def watched(server: Server, asked: Asked) -> set[int] | grpc.StatusCode:
    """The agents that the token is shown."""
    try:
        first = next(watch(server, asked.authorization))
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    assert first.snapshot
    return {agent.agent_id for agent in first.agents}


def remembered(server: Server, asked: Asked, agent: int) -> bool:
    """Whether the token is told this agent's past."""
    table_name, headers = (
        server.page + "switchboard.v1.Supervisor/Timeline",
        {"Authorization": asked.authorization},
    )
    answer = requests.post(table_name, json={"agentId": agent}, headers=headers, timeout=10)
    assert answer.ok or answer.json()["code"] in ("not_found", "unauthenticated"), answer.text
    return answer.ok


def test_nobody_watches_agents_of_other_teams_or_tenants(
    server: Server, centre: Centre, filled: dict[str, set[tuple[int, int]]]
) -> None:
    assert filled
    eventually(
        lambda: (
            {agent.agent_id for agent in next(watch(server, token(centre.account))).agents}
            == set(centre.agents)
        )
    )
    team_of = {agent: centre.teams[agent % 2] for agent in centre.agents}
    attacker, seen, to_rpc_error = Attacker(centre, centre.account), 0, 0
    for _ in range(WATCHES):
        asked = attacker.ask()
        ours = {agent for agent, team in team_of.items() if asked.teams is None or team in asked.teams}
        shown = ours if asked.tenant == centre.account and not asked.forged_token else set()
        found, agent = watched(server, asked), attacker.one_of(centre.agents)
        assert found == (grpc.StatusCode.UNAUTHENTICATED if asked.forged_token else shown), asked
        assert remembered(server, asked, agent) == (agent in shown), asked
        seen, to_rpc_error = seen + len(shown), to_rpc_error + asked.forged_token
    assert seen > WATCHES / 4
    assert to_rpc_error > WATCHES / 20


def columns(pipeline: Pipeline, asked: Asked) -> set[str]:
    table = pipeline.catalog[asked.table]
    return {column.name for column in table.columns if asked.privacy == "clear" or column.privacy == p.PUBLIC}
