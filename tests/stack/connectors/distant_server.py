"""A server as it is reached over a long line: what it answers arrives later."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

READ_BYTES = 1 << 16


@dataclass
class DistantServer:
    """Forwards connections to `target`, a local port, from `port`; `seconds` is the delay of what is answered
    from now on."""

    target: int
    port: int = 0
    seconds: float = 0.0

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self.target)
        answers: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        tasks = (
            asyncio.create_task(self._send(reader, there_writer)),
            asyncio.create_task(self._collect(there_reader, answers)),
            asyncio.create_task(self._deliver(answers, writer)),
        )
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            for end in (there_writer, writer):
                end.close()

    async def _send(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(READ_BYTES):
            writer.write(data)
            await writer.drain()

    async def _collect(
        self, reader: asyncio.StreamReader, answers: asyncio.Queue[tuple[float, bytes]]
    ) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            data = await reader.read(READ_BYTES)
            answers.put_nowait((clock() + self.seconds, data))
            if not data:
                await asyncio.Event().wait()  # until what was collected is delivered

    async def _deliver(
        self, answers: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter
    ) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due, data = await answers.get()
            await asyncio.sleep(max(0.0, due - clock()))
            if not data:
                return
            writer.write(data)
            await writer.drain()


@contextmanager
def distant(target: int) -> Iterator[DistantServer]:
    """Runs in a thread until the block ends; connections that are open then are closed."""
    server, started, loop = DistantServer(target), threading.Event(), asyncio.new_event_loop()
    stopped = asyncio.Event()

    async def serve() -> None:
        listener = await asyncio.start_server(server.connect, "127.0.0.1", 0)
        server.port = listener.sockets[0].getsockname()[1]
        started.set()
        await stopped.wait()
        listener.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await asyncio.sleep(0)  # closes the sockets of the transports

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stopped.set)
        thread.join(10)
        loop.close()
