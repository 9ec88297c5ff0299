"""Settings and endpoints: frozen values, resolved once by the command; no other module reads the
environment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MySqlServer(Frozen):
    """One MySQL server: its metadata database, its shards, or both."""

    name: str
    host: str
    port: int
    user: str
    password: SecretStr
    cdc_user: str = "cdc"
    """The user that Debezium reads the binlog as."""
    connect_password: str = ""
    """How Kafka Connect reads the password: a config-provider reference such as ``${env:CDC_PASSWORD}``."""
    snapshot_chunk_rows: int = Field(8192, ge=1)
    """Rows that an incremental snapshot reads in one query: fewer are less load on the server, and take
    longer. It is the only throttle that Debezium has, which does not wait between chunks; `connectors
    snapshots pause` pauses one."""
    keep_alive_seconds: float = Field(10.0, ge=1)
    """Debezium reconnects after this time without an event. MySQL sends a heartbeat after 80% of it; on an
    idle server, `verify` and each chunk of a snapshot wait for that heartbeat."""
    connector_settings: dict[str, str] = Field(default_factory=dict)
    """Settings of the server's connector, such as ``database.ssl.mode``: they replace rendered ones."""


MAX_MESSAGE_BYTES = 16 << 20
"""What a topic takes: one record with its key, its headers and the frame of its batch."""
MAX_RECORD_BYTES = MAX_MESSAGE_BYTES - (256 << 10)
"""The longest value, which leaves room for the rest, as a dead letter too."""


class KafkaEndpoint(Frozen):
    bootstrap: str


class RegistryEndpoint(Frozen):
    """Apicurio; `url` has no path. The Confluent API is below ``/apis/ccompat/v7``."""

    url: str

    @property
    def confluent(self) -> str:
        return f"{self.url}/apis/ccompat/v7"

    @property
    def converter(self) -> str:
        return f"{self.url}/apis/registry/v2"


APICURIO_CONVERTER = "io.apicurio.registry.utils.converter.AvroConverter"
CONNECT_GROUP = "switchboard-connect"
CONNECT_OFFSET_TOPIC = "switchboard.connect.offsets"


class ConnectEndpoint(Frozen):
    url: str
    value_converter: str = APICURIO_CONVERTER
    """The converter class of values: this one, or a subclass that Connect has as a plugin (see
    `connectors/plugin`)."""
    group: str = CONNECT_GROUP
    """Connect's `group.id`: the transactional id of a connector's task is this, the connector's name and the
    task's number, separated by hyphens (KIP-618)."""
    offset_topic: str = CONNECT_OFFSET_TOPIC
    """Connect's `offset.storage.topic`."""


class ClickHouseEndpoint(Frozen):
    host: str
    http_port: int
    tcp_port: int
    user: str
    password: SecretStr
    database: str = "base"


class S3Endpoint(Frozen):
    url: str
    access_key: str
    secret_key: SecretStr


class LakeEndpoint(Frozen):
    """The Iceberg REST catalog."""

    url: str
    warehouse: str


class FlinkEndpoint(Frozen):
    url: str


class Endpoints(Frozen):
    """Every server that a process may use. The last three are None unless the stack runs with `up --all`."""

    mysql: tuple[MySqlServer, ...] = Field(min_length=1)
    """The servers whose tables are captured."""
    control: MySqlServer | None = None
    """The server of the control database; None: the first of `mysql`."""
    kafka: KafkaEndpoint
    registry: RegistryEndpoint
    connect: ConnectEndpoint
    clickhouse: ClickHouseEndpoint
    s3: S3Endpoint | None = None
    lake: LakeEndpoint | None = None
    flink: FlinkEndpoint | None = None

    @property
    def control_server(self) -> MySqlServer:
        return self.control or self.mysql[0]

    def mysql_named(self, name: str) -> MySqlServer:
        return next(server for server in self.mysql if server.name == name)


class TopicSettings(Frozen):
    partitions: int = Field(4, ge=1)
    replicas: int = Field(1, ge=1)
    min_in_sync: int = Field(1, ge=1)
    retention_hours: int = Field(168, ge=1)


class LandingSettings(Frozen):
    """Settings of the landers.

    A batch is handed to a writer after `linger_seconds`, even if it has one record.
    """

    batch_rows: int = Field(100_000, ge=1)
    batch_bytes: int = Field(32 << 20, ge=1)
    linger_seconds: float = Field(0.2, gt=0)
    inserters: int = Field(2, ge=1)
    group: str = "switchboard-landers"
    check_seconds: float = Field(5.0, gt=0)
    """Seconds between two checks for recreated topics, applied contracts and operators' decisions."""
    session_seconds: float = Field(15.0, ge=6)
    """Kafka's `session.timeout.ms` of the landers: how soon the others take over from a dead one. Brokers
    allow 6 s at least."""
    max_dead_letters: int = Field(1000, ge=1)
    """More dead letters of one table within `dead_letter_window_seconds` stop that table."""
    dead_letter_window_seconds: float = 60.0
    retry_seconds: float = 300.0
    """How long a table is retried that does not match its contract, or whose schemas the registry has lost,
    before it is stopped. There is no limit for unavailable servers: the log and `switchboard_waiting_tables`
    show the wait."""
    memory_bytes: int = Field(192 << 20, ge=1)
    """Bytes of records, of all tables together, that a lander keeps in memory; one fetch may exceed it."""


class FlinkSettings(Frozen):
    """Latency of the Flink jobs, against CPU while idle: each operator's thread wakes once per interval."""

    buffer_timeout_milliseconds: int = Field(20, ge=0)
    """Flink's `execution.buffer-timeout.interval`, for each operator; a result passes through about five. 0
    sends each record at once: right for few records, slow for many."""
    mini_batch_latency_milliseconds: int = Field(50, ge=1)
    """Flink's `table.exec.mini-batch.allow-latency`: changes within it are processed together, with one read
    of state, and changes that cancel out are not sent."""


class ConnectorSettings(Frozen):
    """Settings of `switchboard connectors watch`."""

    watch_seconds: float = Field(5.0, gt=0)
    min_binlog_hours: float = Field(24.0, ge=0)
    """Below this many hours until the binlog is purged up to a connector's position, an error is logged."""
    quarantine_after: int = Field(3, ge=0)
    """A shard that failed its connector this many times in a row is quarantined; 0 leaves that to an
    operator."""
    hanging_transaction_seconds: float = Field(30.0, gt=0)
    """A transaction of a connector that is open for longer is aborted. It has to exceed the connectors'
    `transaction.timeout.ms`, 10 s, plus the broker's interval between two checks of it, 10 s by default."""


class StreamerSettings(Frozen):
    """Settings of the streamer: tokens, addresses, limits.

    Only the local profile generates a secret if none is set.
    """

    audience: str = "switchboard"
    issuer: str | None = None
    """The required `iss` of tokens; not checked if unset."""
    jwt_secret: SecretStr | None = None
    """Signs and checks HS256 tokens, for local use."""
    jwks_url: str | None = None
    """The URL of an identity provider's keys; if set, tokens signed by the secret are refused."""
    host: str = "127.0.0.1"
    port: int = 8090
    grpc_port: int = 8091
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    tls_by_proxy: bool = False
    """A proxy terminates TLS: only then are addresses other than loopback served without a certificate."""
    max_streams: int = Field(5000, ge=1)
    """Concurrent calls and connections of each port."""
    max_queries: int = Field(16, ge=1)
    max_queries_of_tenant: int = Field(4, ge=1)
    drain_lead_seconds: float = Field(1.0, ge=0)
    """How long health is NOT_SERVING before streams end, so that a load balancer sends no new clients."""
    drain_seconds: float = Field(3.0, gt=0)

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key must be set together")
        return self


SAMPLE_CONTRACTS = "schemas.contracts"
SAMPLE_JOBS = "flink_jobs.sample"


class Settings(Frozen):
    profile: Literal["local", "production"] = "local"
    contracts: str = Field(SAMPLE_CONTRACTS, min_length=1)
    """A package name, or a folder of contract files."""
    jobs: str | None = Field(None, min_length=1)
    """A package name, or a folder of Flink jobs; None: the sample's, if `contracts` are the sample's too."""
    home: Path = Path(".switchboard")
    """The folder of the local stack: its servers, data and logs."""
    topics: TopicSettings = TopicSettings()
    landing: LandingSettings = LandingSettings()
    connectors: ConnectorSettings = ConnectorSettings()
    flink: FlinkSettings = FlinkSettings()
    streamer: StreamerSettings = StreamerSettings()
    metadata_database: str = "metadata"
    control_database: str = "switchboard_control"
    endpoints: Endpoints | None = None
    """Required in production; None in the local profile, where they are those of the running stack."""

    @property
    def jobs_or_sample(self) -> str | None:
        """Where the jobs are: `jobs`, or the sample's with the sample's contracts; None without jobs."""
        return SAMPLE_JOBS if self.jobs is None and self.contracts == SAMPLE_CONTRACTS else self.jobs


@dataclass(frozen=True)
class Context:
    """What a command is run with: the settings, and the endpoints, which are resolved when first used."""

    settings: Settings
    resolve_endpoints: Callable[[], Endpoints]

    @cached_property
    def endpoints(self) -> Endpoints:
        return self.resolve_endpoints()
