"""Every metric of the platform, with its meaning; a process serves its own with `serve`."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from core.errors import MisconfiguredError

LANDED_ROWS = Counter("switchboard_landed_records_total", "Records inserted into ClickHouse, without dead letters", ["table"])
LANDED_BYTES = Counter("switchboard_landed_bytes_total", "Bytes of Avro sent to ClickHouse", ["table"])
LANDED_COMMIT = Gauge("switchboard_landed_commit_seconds", "When the newest change landed was committed, since 1970", ["table"])
INSERTS = Counter("switchboard_inserts_total", "Insert queries that ClickHouse acknowledged", ["table"])
INSERT_SECONDS = Histogram("switchboard_insert_seconds", "Seconds one insert took", ["table"])
INSERT_RETRIES = Counter("switchboard_insert_retries_total", "Inserts tried again after a passing fault", ["table"])
DEAD_LETTERS = Counter("switchboard_dead_letters_total", "Records set aside because they cannot land", ["table"])
COMMITTED_OFFSET = Gauge("switchboard_committed_offset", "Next offset to read, as committed to Kafka", ["topic", "partition"])
WAITING_TABLES = Gauge("switchboard_waiting_tables", "1 while a table waits for a server, or for its contract to be applied", ["table"])
PENDING_BYTES = Gauge("switchboard_pending_bytes", "Bytes of records fetched that have not landed yet")
STOPPED_TABLES = Gauge("switchboard_stopped_tables", "1 while a table is stopped for a person to decide", ["table"])
CONNECTOR_FAILED = Gauge("switchboard_connector_failed", "1 while a connector or its task has failed", ["connector"])
CONNECTOR_RESTARTS = Counter("switchboard_connector_restarts_total", "Restarts of a failed connector by the watch", ["connector"])
BINLOG_HOURS_LEFT = Gauge("switchboard_binlog_hours_left", "Hours until the connector's position is purged", ["server"])
WATCHERS = Gauge("switchboard_watchers", "Live views that are open")
WATCHER_UPDATES = Counter("switchboard_watcher_updates_total", "Updates put into the mailboxes of live views")
WATCHER_MERGES = Counter("switchboard_watcher_merges_total", "Updates merged into one that a slow live view had not taken yet")
NEWEST_COMMIT = Gauge("switchboard_newest_commit_seconds", "When the newest change shown was committed in MySQL, since 1970")
REFUSALS = Counter("switchboard_refusals_total", "Calls refused: what is wrong with the token, or else the code", ["reason"])
UNREADABLE_RESULTS = Counter("switchboard_unreadable_results_total", "Result records that the streamer left out", ["topic"])


def serve(port: int, host: str = "127.0.0.1") -> int:
    """Serves this process's metrics in a daemon thread and returns the port (0 takes a free one)."""
    try:
        server, _ = start_http_server(port, addr=host)
    except OSError as error:
        raise MisconfiguredError(f"the metrics port {port} is taken: {error}", "choose another with --metrics-port") from error
    return int(server.server_port)
