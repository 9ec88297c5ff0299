"""SIGTERM ends a process: at once if it can, and by a limit whatever it waits for."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.launching import ROOT

READY = "print('ready', flush=True)"
GRACEFUL = f"""
from core.shutdown import stop_on_signal
stop = stop_on_signal(limit=60)
{READY}
stop.wait()
print("finished")
"""
# A mutex that its own thread holds is waited for in C, where no signal handler of Python's runs.
STUCK = f"""
import ctypes
from core import logging
from core.shutdown import stop_on_signal
stop = stop_on_signal(limit=0.2)
logging.configure()
libc, mutex = ctypes.CDLL(None), ctypes.create_string_buffer(128)
libc.pthread_mutex_init(mutex, None)
libc.pthread_mutex_lock(mutex)
{READY}
libc.pthread_mutex_lock(mutex)
"""
UNDER_ASYNCIO = f"""
import asyncio, time
from core import logging
from core.shutdown import end_within
async def main():
    asyncio.get_running_loop().add_signal_handler(15, end_within, 0.2)
    {READY}
    await asyncio.to_thread(time.sleep, 60)
logging.configure()
asyncio.run(main())
"""


def signalled(program: str, number: signal.Signals) -> tuple[int, str, str]:
    """(exit status, standard output, standard error) of a program that gets the signal once it is ready."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, text=True, **pipes) as process:  # type: ignore[call-overload]
        try:
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            output, log = process.communicate(timeout=20)
        finally:
            process.kill()
    return process.returncode, output, log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_signalled_finishes_by_itself(number: signal.Signals) -> None:
    assert signalled(GRACEFUL, number) == (0, "finished\n", "")


@pytest.mark.parametrize("program", [STUCK, UNDER_ASYNCIO])
def test_a_process_that_waits_for_something_ends_all_the_same_and_says_so(program: str) -> None:
    status, output, log = signalled(program, signal.SIGTERM)
    assert (status, output) == (0, "")
    assert "ended without waiting for a server any longer" in log
