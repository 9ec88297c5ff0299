"""Every metric of the platform with its description; a process serves its metrics with `serve`."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from core.errors import MisconfiguredError

LANDED_ROWS = Counter(
    "switchboard_landed_records_total", "Records inserted into ClickHouse, without dead letters", ["table"]
)
LANDED_BYTES = Counter("switchboard_landed_bytes_total", "Bytes of Avro sent to ClickHouse", ["table"])
LANDED_COMMIT = Gauge(
    "switchboard_landed_commit_seconds",
    "Commit time of the newest landed change, in seconds since the epoch",
    ["table"],
)
INSERTS = Counter("switchboard_inserts_total", "Insert queries that ClickHouse acknowledged", ["table"])
INSERT_SECONDS = Histogram("switchboard_insert_seconds", "Seconds one insert took", ["table"])
INSERT_RETRIES = Counter(
    "switchboard_insert_retries_total", "Inserts that were retried after a transient error", ["table"]
)
DEAD_LETTERS = Counter(
    "switchboard_dead_letters_total",
    "Records written to the dead letters because they cannot land",
    ["table"],
)
COMMITTED_OFFSET = Gauge(
    "switchboard_committed_offset", "Next offset to read, as committed to Kafka", ["topic", "partition"]
)
WAITING_TABLES = Gauge(
    "switchboard_waiting_tables",
    "1 while a table waits for a server or for its contract to be applied",
    ["table"],
)
PENDING_BYTES = Gauge("switchboard_pending_bytes", "Bytes of fetched records that have not landed yet")
STOPPED_TABLES = Gauge(
    "switchboard_stopped_tables", "1 while a table is stopped until an operator decides", ["table"]
)
CONNECTOR_FAILED = Gauge(
    "switchboard_connector_failed", "1 while a connector or its task has failed", ["connector"]
)
CONNECTOR_RESTARTS = Counter(
    "switchboard_connector_restarts_total", "Restarts of a failed connector by the supervisor", ["connector"]
)
HANGING_TRANSACTIONS = Gauge(
    "switchboard_hanging_transactions", "Partitions whose oldest open transaction Kafka does not end"
)
BINLOG_HOURS_LEFT = Gauge(
    "switchboard_binlog_hours_left", "Hours until the connector's position is purged", ["server"]
)
UNPROVEN_SHARDS = Gauge(
    "switchboard_unproven_shards",
    "Shards of the table that no verification has found equal since their snapshots",
    ["table"],
)
WATCHERS = Gauge("switchboard_watchers", "Open live views")
WATCHER_UPDATES = Counter("switchboard_watcher_updates_total", "Updates queued for live views")
WATCHER_MERGES = Counter(
    "switchboard_watcher_merges_total",
    "Updates merged into a queued one that a slow live view had not received",
)
NEWEST_COMMIT = Gauge(
    "switchboard_newest_commit_seconds",
    "Commit time in MySQL of the newest change shown, in seconds since the epoch",
)
REFUSALS = Counter(
    "switchboard_refusals_total", "Refused calls, by the token's fault or the error code", ["reason"]
)
UNREADABLE_RESULTS = Counter(
    "switchboard_unreadable_results_total", "Result records that the streamer could not read", ["topic"]
)


def serve(port: int, host: str = "127.0.0.1") -> int:
    """Serves this process's metrics in a daemon thread and returns the port (0 takes a free one)."""
    try:
        server, _ = start_http_server(port, addr=host)
    except OSError as error:
        raise MisconfiguredError(
            f"the metrics port {port} is taken: {error}", "choose another with --metrics-port"
        ) from error
    return int(server.server_port)
