"""Process control, by supervisord: it starts the servers, writes their logs, and starts again those that die."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import xmlrpc.client
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from core.errors import TransientError
from switchboard.stack import deaths
from switchboard.stack.deaths import Death
from switchboard.stack.program import HOST, Program
from switchboard.stack.state import PortTakenError, State, write_private

LISTENER = "deaths"
TAKEN = "Another program is already listening"
"""What supervisord says of its own port."""
MARK = "SWITCHBOARD_STACK"
"""Every process of a stack carries this variable with the stack's folder: that is how ours are told from others."""


@dataclass(frozen=True)
class PartStatus:
    name: str
    state: str
    pid: int
    seconds: int
    """How long it has been running."""
    memory: int
    """Bytes that it and its children hold."""
    deaths: tuple[Death, ...]
    """Those since the stack came up; it was started again after each."""


class Supervisor:
    """One stack's supervisord. Its API is on loopback behind a generated password."""

    def __init__(self, home: Path, state: State) -> None:
        self._home = home.resolve()
        self._state = state

    def _call(self, method: str, *arguments: Any) -> Any:
        """Raises OSError where supervisord is away, xmlrpc.client.Fault where it refuses."""
        place = f"switchboard:{self._state.passwords['supervisor']}@{HOST}:{self._state.ports['supervisor']}"
        with xmlrpc.client.ServerProxy(f"http://{place}/RPC2") as server:
            return getattr(server.supervisor, method)(*arguments)

    def alive(self) -> bool:
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except (OSError, xmlrpc.client.Error):
            return False

    def launch(self) -> None:
        """Starts supervisord with no server yet. Ends what an earlier, killed one left behind. Raises PortTakenError."""
        end_processes(self._home)
        (self._home / "logs").mkdir(parents=True, exist_ok=True)
        (self._home / "logs" / deaths.FILE).unlink(missing_ok=True)
        write_private(self._home / "supervisord.conf", self._config([]))
        environment = {**os.environ, MARK: str(self._home)}
        command = [sys.executable, "-W", "ignore", "-m", "supervisor.supervisord", "-c", str(self._home / "supervisord.conf")]
        with (self._home / "logs" / "supervisord.err").open("w") as errors:
            subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, cwd=self._home, check=False)
        if TAKEN in (self._home / "logs" / "supervisord.err").read_text():
            raise PortTakenError("supervisor", self._state.ports["supervisor"])
        deadline = time.monotonic() + 20
        while not self.alive():
            if time.monotonic() > deadline:
                raise TransientError("supervisord does not start", f"see {self._home / 'logs' / 'supervisord.err'}")
            time.sleep(0.05)

    def start(self, programs: list[Program], kept: list[Program]) -> None:
        """Makes `programs` known and starts them; `kept` are known already and go on."""
        write_private(self._home / "supervisord.conf", self._config([*kept, *programs]))
        self._call("reloadConfig")
        for program in programs:
            self.stop_part(program.name)  # known, stopped: stale definition
            with contextlib.suppress(xmlrpc.client.Fault):
                self._call("removeProcessGroup", program.name)
            with contextlib.suppress(xmlrpc.client.Fault):
                self._call("addProcessGroup", program.name)
            with contextlib.suppress(xmlrpc.client.Fault):
                self._call("startProcess", program.name, False)

    def statuses(self) -> list[PartStatus]:
        if not self.alive():
            return []
        died = deaths.read(self._home / "logs")
        return [
            PartStatus(
                name=info["name"],
                state=info["statename"],
                pid=info["pid"],
                seconds=info["now"] - info["start"] if info["pid"] else 0,
                memory=memory(info["pid"]) if info["pid"] else 0,
                deaths=tuple(died.get(info["name"], ())),
            )
            for info in self._call("getAllProcessInfo")
            if info["name"] != LISTENER
        ]

    def stop_part(self, name: str, *, at_once: bool = False) -> None:
        """Blocks until it has ended: by SIGKILL `at_once`, else by SIGTERM, and by SIGKILL after its `Program.stop_seconds`."""
        with contextlib.suppress(xmlrpc.client.Fault):  # nobody knows it, or it does not run
            if at_once:
                self._call("signalProcess", name, "STOP")  # else the SIGTERM of stopProcess would let it shut down cleanly
            self._call("stopProcess", name, False)  # supervisord takes a whole core while it waits for one itself
            if at_once:
                self._call("signalProcess", name, "KILL")
            while self._call("getProcessInfo", name)["statename"] == "STOPPING":
                time.sleep(0.05)

    def start_part(self, name: str) -> None:
        with contextlib.suppress(xmlrpc.client.Fault):
            self._call("startProcess", name, False)

    def shutdown(self) -> None:
        """Stops every server, then supervisord; ends by force what does not end. Blocks up to 60 s."""
        with contextlib.suppress(OSError, xmlrpc.client.Error):
            self._call("shutdown")
        deadline = time.monotonic() + 45
        while stack_processes(self._home) and time.monotonic() < deadline:
            time.sleep(0.1)
        end_processes(self._home)

    def kill(self) -> None:
        """Ends supervisord and every server at once; they lose what they have not written."""
        while processes := stack_processes(self._home):
            _signal(processes, signal.SIGKILL)
            psutil.wait_procs(processes, timeout=10)

    def _config(self, programs: list[Program]) -> str:
        logs = self._home / "logs"
        sections = [
            f"[supervisord]\nlogfile={logs / 'supervisord.log'}\npidfile={self._home / 'supervisord.pid'}\n"
            f"childlogdir={logs}\nsilent=true\n",
            f"[inet_http_server]\nport={HOST}:{self._state.ports['supervisor']}\nusername=switchboard\n"
            f"password={self._state.passwords['supervisor']}\n",
            "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n",
            f"[eventlistener:{LISTENER}]\ncommand={_quoted((sys.executable, '-I', deaths.__file__, str(logs)))}\n"
            f"events={deaths.EVENTS}\nstderr_logfile={logs / (LISTENER + '.log')}\nstderr_logfile_maxbytes=1MB\n",
        ]
        return "\n".join([*sections, *(self._section(program) for program in programs)])

    def _section(self, program: Program) -> str:
        environment = {**program.environment, MARK: str(self._home), "TZ": "UTC"}
        pairs = ",".join(f'{name}="{_percent(value)}"' for name, value in environment.items())
        return (
            f"[program:{program.name}]\ncommand={_quoted(program.command)}\ndirectory={program.directory}\nenvironment={pairs}\n"
            f"autostart=false\nautorestart=true\nstartsecs=1\nstartretries=1000\nstopsignal=TERM\nstopwaitsecs={program.stop_seconds}\n"
            "stopasgroup=true\nkillasgroup=true\nredirect_stderr=true\nstdout_logfile_maxbytes=20MB\n"
            f"stdout_logfile_backups=1\nstdout_logfile={self._home / 'logs' / (program.name + '.log')}\n"
        )


def _quoted(command: tuple[str, ...]) -> str:
    return " ".join(f'"{_percent(word)}"' for word in command)


def memory(pid: int) -> int:
    """Resident bytes of a process and its children; 0 once it is gone."""
    try:
        process = psutil.Process(pid)
        return sum(int(item.memory_info().rss) for item in [process, *process.children(recursive=True)])
    except psutil.Error:
        return 0


def _percent(text: str) -> str:
    return text.replace("%", "%%")


def stack_processes(home: Path) -> list[psutil.Process]:
    """The live processes that carry this stack's mark."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(MARK) == str(home.resolve()):
                found.append(process)
    return [process for process in found if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def end_processes(home: Path, grace: float = 10) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        processes = stack_processes(home)
        _signal(processes, sign)
        psutil.wait_procs(processes, timeout=grace)


def _signal(processes: list[psutil.Process], sign: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(sign)
