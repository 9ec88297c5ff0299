"""The child process of `core.clients.topic_identity`: it describes topics, one line of JSON for each request.

python -m core.clients.describe_topics

The first line of standard input is a librdkafka configuration; each line after it is a list of topic names.
Each answer is ``{"topics": {name: [cluster id, topic id, partitions]}}`` without the topics that do not
exist, or ``{"error": text}``. The process ends as soon as standard input does, so that it never outlives its
parent.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any, TextIO

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

ABSENT = (KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC)
REQUEST_SECONDS = 8.0
Described = dict[str, tuple[str, str, int]]
"""Topic -> (cluster id, topic id, number of partitions)."""


def describe(admin: AdminClient, topics: Sequence[str]) -> Described:
    """Returns the existing ones of these topics. Blocks up to 16 s; raises KafkaException if Kafka does not
    answer for each one.

    librdkafka aborts the calling process (assertion `rko_result`) if the metadata reply names no broker, as
    it does while the brokers are fenced: call it only in a process that may die.
    """
    cluster = admin.describe_cluster(request_timeout=REQUEST_SECONDS).result().cluster_id
    futures = admin.describe_topics(TopicCollection(list(topics)), request_timeout=REQUEST_SECONDS)
    found = {name: future.result() for name, future in futures.items() if not _absent(future.exception())}
    return {name: (str(cluster), str(topic.topic_id), len(topic.partitions)) for name, topic in found.items()}


def _absent(error: BaseException | None) -> bool:
    return isinstance(error, KafkaException) and error.args[0].code() in ABSENT


def answer(admin: AdminClient, line: str) -> dict[str, Any]:
    try:
        return {"topics": describe(admin, json.loads(line))}
    except KafkaException as error:
        return {"error": str(error)}


def _read(lines: TextIO, requests: queue.SimpleQueue[str]) -> None:
    for line in lines:
        requests.put(line)
    os._exit(0)  # the parent is gone or has closed the pipe; nobody waits for an answer


def main() -> None:
    # Ctrl-C reaches the whole foreground group; the parent decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    admin = AdminClient(json.loads(sys.stdin.readline()))
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin, requests), daemon=True).start()
    while True:
        print(json.dumps(answer(admin, requests.get())), flush=True)


if __name__ == "__main__":
    main()
