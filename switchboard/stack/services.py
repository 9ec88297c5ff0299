"""The services of the local stack: files, command line and environment of each. All bind to loopback."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from xml.sax.saxutils import escape

from core.errors import MisconfiguredError
from core.settings import CONNECT_GROUP, CONNECT_OFFSET_TOPIC
from switchboard.stack import class_data, flink, seaweedfs
from switchboard.stack.program import (
    C1_ONLY,
    HOST,
    Factory,
    Program,
    Toolchain,
    java_command,
    log4j,
    properties,
)
from switchboard.stack.state import State, write_private

BASE = ("mysql", "kafka", "registry", "connect", "clickhouse")
OPTIONAL = ("seaweedfs", "flink-jobmanager", "flink-taskmanager")
FOLDERS = ("mysql", "kafka", "registry", "connect", "clickhouse", "seaweedfs", "flink")
"""Folders under a stack's home that the services write."""
DEPENDENCIES = {
    "registry": ("kafka",),
    "connect": ("kafka", "registry"),
    "flink-taskmanager": ("flink-jobmanager",),
}
PORTS_OF = {
    "mysql": ("mysql",),
    "kafka": ("kafka", "kafka_controller"),
    "registry": ("registry",),
    "connect": ("connect",),
    "clickhouse": ("clickhouse_http", "clickhouse_tcp"),
    "seaweedfs": seaweedfs.PORTS,
    "flink-jobmanager": ("flink", "flink_rpc"),
}
JARS_OF = {"kafka": "kafka", "connect": "kafka", "registry": "registry"}
"""Service with a class-data archive -> the folder of the jars on its class path."""
CDC_PASSWORD = "SWITCHBOARD_MYSQL_MAIN_CDC_PASSWORD"
KEEP_ALIVE_SECONDS = 2.0
"""Shorter than in production, as `verify` waits for 80% of it on an idle server."""


def archive_of(server: str, tools: Toolchain) -> Path:
    """Returns the file of the server's class-data archive."""
    return class_data.archive(
        tools.artefacts, server, tools.java, (tools.artefacts / "jars" / JARS_OF[server]).glob("*.jar")
    )


def mysql(home: Path, state: State, tools: Toolchain) -> Program:
    folder = (home / "mysql").resolve()
    data = folder / "data"
    as_root = ("--user=root",) if os.geteuid() == 0 else ()
    options = (*tools.mysql.options, f"--datadir={data}", *as_root)
    if not (folder / ".initialized").exists():
        _initialize_mysql(folder, (*tools.mysql.command, "--no-defaults", *options))
    users = {"switchboard": "mysql_switchboard", "cdc": "mysql_cdc"}
    lines = [f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{state.passwords['mysql_root']}';"]
    for user, secret in users.items():
        lines.append(f"CREATE USER IF NOT EXISTS '{user}'@'%' IDENTIFIED BY '{state.passwords[secret]}';")
        lines.append(f"ALTER USER '{user}'@'%' IDENTIFIED BY '{state.passwords[secret]}';")
    lines.append("GRANT ALL PRIVILEGES ON *.* TO 'switchboard'@'%' WITH GRANT OPTION;")
    lines.append(
        "GRANT SELECT, RELOAD, SHOW DATABASES, REPLICATION SLAVE, REPLICATION CLIENT, LOCK TABLES ON *.* TO "
        "'cdc'@'%';"
    )
    write_private(folder / "users.sql", "\n".join(lines) + "\n")
    server = (
        f"--init-file={folder / 'users.sql'}",
        f"--port={state.ports['mysql']}",
        f"--bind-address={HOST}",
        "--socket=mysql.sock",
        "--mysqlx=OFF",
        "--server-id=1",
        "--log-bin=binlog",
        "--gtid-mode=ON",
        "--enforce-gtid-consistency=ON",
        "--binlog-row-metadata=FULL",
        "--binlog-expire-logs-seconds=604800",
        "--default-time-zone=+00:00",
        "--innodb-buffer-pool-size=128M",
        # with the next: commits survive a crash of the process, not of the machine
        "--innodb-flush-log-at-trx-commit=2",
        "--sync-binlog=0",
        "--performance-schema=OFF",
        "--secure-file-priv=NULL",
        "--local-infile=OFF",
    )
    return Program("mysql", (*tools.mysql.command, "--no-defaults", *options, *server), folder)


def _initialize_mysql(folder: Path, command: tuple[str, ...]) -> None:
    data = folder / "data"
    if data.exists():  # incomplete, of an interrupted setup
        subprocess.run(["rm", "-rf", str(data)], check=True)
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [*command, "--initialize-insecure"], capture_output=True, text=True, timeout=300, check=False
    )
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if "[ERROR]" in line] or ["no message"]
        raise MisconfiguredError(f"MySQL cannot create its data folder: {errors[0]}", "is the disk full?")
    (folder / ".initialized").touch()


def kafka(home: Path, state: State, tools: Toolchain) -> Program:
    folder = (home / "kafka").resolve()
    log = log4j(folder)
    write_private(folder / "server.properties", properties(_kafka_settings(folder, state)))
    if not (folder / "data" / "meta.properties").exists():
        _format_kafka(folder, state, tools, log)
    flags = class_data.flags(archive_of("kafka", tools), tools.java)
    command = java_command(
        tools, ("kafka",), "640m", *flags, log, "kafka.Kafka", str(folder / "server.properties")
    )
    return Program("kafka", command, folder)


def _kafka_settings(folder: Path, state: State) -> dict[str, object]:
    broker, controller = state.ports["kafka"], state.ports["kafka_controller"]
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{HOST}:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{HOST}:{broker},CONTROLLER://{HOST}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{broker}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": folder / "data",
        "auto.create.topics.enable": "false",
        "unclean.leader.election.enable": "false",
        "broker.session.timeout.ms": 4000,  # a killed broker is not readmitted for this time; default 9000
        "broker.heartbeat.interval.ms": 1000,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,  # default 10000
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "message.max.bytes": 16 << 20,
        "replica.fetch.max.bytes": 16 << 20,
        "log.retention.hours": 168,
        "log.segment.bytes": 128 << 20,
    }


def _format_kafka(folder: Path, state: State, tools: Toolchain, log: str) -> None:
    arguments = (
        "format",
        "-t",
        state.cluster_id,
        "-c",
        str(folder / "server.properties"),
        "--ignore-formatted",
    )
    flags = class_data.flags(archive_of("kafka", tools), tools.java)
    command = java_command(tools, ("kafka",), "256m", *flags, log, "kafka.tools.StorageTool", *arguments)
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        detail = (done.stderr + done.stdout).strip().splitlines()[-1:]
        raise MisconfiguredError(
            f"Kafka cannot format its data folder: {''.join(detail)}", "is the disk full?"
        )


def registry(home: Path, state: State, tools: Toolchain) -> Program:
    folder = (home / "registry").resolve()
    folder.mkdir(parents=True, exist_ok=True)
    runner = next(
        (tools.artefacts / "jars" / "registry").resolve().glob("apicurio-registry-app-*-runner.jar")
    )
    flags = (
        f"-Dquarkus.http.host={HOST}",
        f"-Dquarkus.http.port={state.ports['registry']}",
        "-Dapicurio.storage.kind=kafkasql",
        f"-Dapicurio.kafkasql.bootstrap.servers={HOST}:{state.ports['kafka']}",
        f"-Dapicurio.kafkasql.topic={'switchboard.registry'}",
        # at every start it waits this long for its snapshot; default 5000
        "-Dapicurio.kafkasql.consumer.poll.timeout=500",
        "-Dquarkus.log.level=WARN",
        '-Dquarkus.log.category."io.apicurio".level=WARN',
        "-Dquarkus.http.access-log.enabled=false",
    )
    archive = class_data.flags(archive_of("registry", tools), tools.java)
    command = (
        str(tools.java),
        "-Xmx384m",
        "-XX:+UseSerialGC",
        C1_ONLY,
        *archive,
        *flags,
        "-jar",
        str(runner),
    )
    # its data is in Kafka, and it ignores SIGTERM while it starts
    return Program("registry", command, folder, stop_seconds=5)


def connect(home: Path, state: State, tools: Toolchain) -> Program:
    folder = (home / "connect").resolve()
    plugins = folder / "plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    for name in ("debezium", "converter"):
        link = plugins / name
        if not link.is_symlink():
            link.symlink_to((tools.artefacts / "jars" / name).resolve())
    settings = {
        "bootstrap.servers": f"{HOST}:{state.ports['kafka']}",
        "group.id": CONNECT_GROUP,
        "listeners": f"http://{HOST}:{state.ports['connect']}",
        "rest.advertised.host.name": HOST,
        "key.converter": "org.apache.kafka.connect.json.JsonConverter",
        "value.converter": "org.apache.kafka.connect.json.JsonConverter",
        "offset.storage.topic": CONNECT_OFFSET_TOPIC,
        "offset.storage.partitions": 1,
        "config.storage.topic": "switchboard.connect.configs",
        "status.storage.topic": "switchboard.connect.status",
        "status.storage.partitions": 1,
        **{f"{name}.storage.replication.factor": 1 for name in ("offset", "config", "status")},
        "topic.creation.enable": "false",
        "plugin.path": plugins,
        "plugin.discovery": "service_load",
        "exactly.once.source.support": "enabled",
        "scheduled.rebalance.max.delay.ms": 0,
        "session.timeout.ms": 6000,  # the group waits this long for a killed worker; default 10000
        "heartbeat.interval.ms": 2000,
        "offset.flush.interval.ms": 1000,
        "connector.client.config.override.policy": "All",
        "config.providers": "env",
        "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
        "config.providers.env.param.allowlist.pattern": "SWITCHBOARD_.*",
        "producer.max.request.size": 16 << 20,
        "consumer.max.partition.fetch.bytes": 16 << 20,
    }
    write_private(folder / "connect.properties", properties(settings))
    main = "org.apache.kafka.connect.cli.ConnectDistributed"
    flags = class_data.flags(archive_of("connect", tools), tools.java)
    command = java_command(
        tools, ("kafka",), "768m", *flags, log4j(folder), main, str(folder / "connect.properties")
    )
    environment = {CDC_PASSWORD: state.passwords["mysql_cdc"]}
    # it ends only after it has started
    return Program("connect", command, folder, environment, stop_seconds=10)


def clickhouse(home: Path, state: State, tools: Toolchain) -> Program:
    del tools
    folder = (home / "clickhouse").resolve()
    write_private(folder / "config.xml", _clickhouse_config(state))
    write_private(folder / "users.xml", _clickhouse_users(state))
    server = Path(__file__).with_name("clickhouse_server.py").resolve()
    return Program("clickhouse", (sys.executable, "-I", str(server), str(folder)), folder)


def _clickhouse_config(state: State) -> str:
    return f"""<clickhouse>
  <listen_host>{HOST}</listen_host>
  <http_port>{state.ports["clickhouse_http"]}</http_port>
  <tcp_port>{state.ports["clickhouse_tcp"]}</tcp_port>
  <users_config>users.xml</users_config>
  <timezone>UTC</timezone>
  <keep_alive_timeout>30</keep_alive_timeout>
  <max_server_memory_usage>4294967296</max_server_memory_usage>
  <mark_cache_size>134217728</mark_cache_size>
  <query_log><database>system</database><table>query_log</table><flush_interval_milliseconds>7500</flush_interval_milliseconds></query_log>
  <part_log><database>system</database><table>part_log</table><flush_interval_milliseconds>7500</flush_interval_milliseconds></part_log>
</clickhouse>
"""


def _clickhouse_users(state: State) -> str:
    digest = hashlib.sha256(state.passwords["clickhouse"].encode()).hexdigest()
    grants = (
        "SHOW, SELECT, INSERT, ALTER, CREATE DATABASE, CREATE TABLE, CREATE VIEW, CREATE DICTIONARY, DROP, "
        "TRUNCATE, OPTIMIZE, KILL QUERY, SYSTEM, dictGet ON *.*",
        "S3 ON *.*",
        "KAFKA ON *.*",
        "CREATE TEMPORARY TABLE ON *.*",
        "TABLE ENGINE ON *",
        "READ ON FILE",  # input() requires it
    )
    queries = "".join(f"<query>GRANT {escape(grant)}</query>" for grant in grants)
    return f"""<clickhouse>
  <profiles><default></default></profiles>
  <quotas><default></default></quotas>
  <users>
    <default>
      <password></password>
      <networks><ip>{HOST}</ip></networks>
      <profile>default</profile><quota>default</quota>
      <grants><query>GRANT SYSTEM LISTEN ON *.*</query></grants>
    </default>
    <switchboard>
      <password_sha256_hex>{digest}</password_sha256_hex>
      <networks><ip>{HOST}</ip></networks>
      <profile>default</profile><quota>default</quota>
      <grants>{queries}</grants>
    </switchboard>
  </users>
</clickhouse>
"""


FACTORIES: dict[str, Factory] = {
    "mysql": mysql,
    "kafka": kafka,
    "registry": registry,
    "connect": connect,
    "clickhouse": clickhouse,
    "seaweedfs": seaweedfs.program,
    "flink-jobmanager": flink.jobmanager,
    "flink-taskmanager": flink.taskmanager,
}
