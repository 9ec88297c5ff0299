"""Process control by supervisord, which starts the services, writes their logs, and restarts crashed ones."""

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
from core.waiting import wait_until
from switchboard.stack import crash_log
from switchboard.stack.crash_log import Crash
from switchboard.stack.program import HOST, Program
from switchboard.stack.state import PortTakenError, State, write_private

LISTENER = "crashes"
PORT_TAKEN = "Another program is already listening"
"""supervisord's message if its own port is taken."""
STACK_VARIABLE = "SWITCHBOARD_STACK"
"""The environment variable, with the stack's folder, by which a stack's processes are recognized."""


@dataclass(frozen=True)
class ServiceStatus:
    name: str
    state: str
    pid: int
    seconds: int
    """Time since its start."""
    memory: int
    """Resident bytes of the process and its children."""
    crashes: tuple[Crash, ...]
    """Crashes since the stack was started; the service was restarted after each."""


class Supervisord:
    """The supervisord of one stack. Its API is on loopback and requires a generated password."""

    def __init__(self, home: Path, state: State) -> None:
        self._home = home.resolve()
        self._state = state

    def _call(self, method: str, *arguments: Any) -> Any:
        """Raises OSError if supervisord does not run, and xmlrpc.client.Fault if it refuses the call."""
        login = f"switchboard:{self._state.passwords['supervisor']}@{HOST}:{self._state.ports['supervisor']}"
        with xmlrpc.client.ServerProxy(f"http://{login}/RPC2") as server:
            return getattr(server.supervisor, method)(*arguments)

    def alive(self) -> bool:
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except (OSError, xmlrpc.client.Error):
            return False

    def launch(self) -> None:
        """Starts supervisord without services, after it has ended the processes of an earlier, killed one.

        Raises PortTakenError.
        """
        end_processes(self._home)
        (self._home / "logs").mkdir(parents=True, exist_ok=True)
        (self._home / "logs" / crash_log.FILE).unlink(missing_ok=True)
        write_private(self._home / "supervisord.conf", self._config([]))
        environment = {**os.environ, STACK_VARIABLE: str(self._home)}
        command = [
            sys.executable,
            "-W",
            "ignore",
            "-m",
            "supervisor.supervisord",
            "-c",
            str(self._home / "supervisord.conf"),
        ]
        with (self._home / "logs" / "supervisord.err").open("w") as errors:
            subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                cwd=self._home,
                check=False,
            )
        if PORT_TAKEN in (self._home / "logs" / "supervisord.err").read_text():
            raise PortTakenError("supervisor", self._state.ports["supervisor"])
        if not wait_until(self.alive, limit=20, interval=0.05):
            raise TransientError(
                "supervisord does not start", f"see {self._home / 'logs' / 'supervisord.err'}"
            )

    def start(self, programs: list[Program], existing: list[Program]) -> None:
        """Adds `programs` and starts them; `existing` ones continue."""
        write_private(self._home / "supervisord.conf", self._config([*existing, *programs]))
        self._call("reloadConfig")
        for program in programs:
            self.stop_service(program.name)  # an earlier definition
            with contextlib.suppress(xmlrpc.client.Fault):
                self._call("removeProcessGroup", program.name)
            with contextlib.suppress(xmlrpc.client.Fault):
                self._call("addProcessGroup", program.name)
            with contextlib.suppress(xmlrpc.client.Fault):
                self._call("startProcess", program.name, False)

    def statuses(self) -> list[ServiceStatus]:
        if not self.alive():
            return []
        crashes = crash_log.read(self._home / "logs")
        return [
            ServiceStatus(
                name=info["name"],
                state=info["statename"],
                pid=info["pid"],
                seconds=info["now"] - info["start"] if info["pid"] else 0,
                memory=memory(info["pid"]) if info["pid"] else 0,
                crashes=tuple(crashes.get(info["name"], ())),
            )
            for info in self._call("getAllProcessInfo")
            if info["name"] != LISTENER
        ]

    def stop_service(self, name: str, *, at_once: bool = False) -> None:
        """Blocks until it has ended: by SIGKILL `at_once`, else by SIGTERM, and by SIGKILL after its
        `Program.stop_seconds`."""
        with contextlib.suppress(xmlrpc.client.Fault):  # unknown, or not running
            if at_once:
                self._call("signalProcess", name, "STOP")  # else it would handle the SIGTERM of stopProcess
            # without waiting: supervisord would use a whole core meanwhile
            self._call("stopProcess", name, False)
            if at_once:
                self._call("signalProcess", name, "KILL")
            while self._call("getProcessInfo", name)["statename"] == "STOPPING":
                time.sleep(0.05)

    def start_service(self, name: str) -> None:
        with contextlib.suppress(xmlrpc.client.Fault):
            self._call("startProcess", name, False)

    def shutdown(self) -> None:
        """Stops every service, then supervisord; kills those that do not end. Blocks up to 60 s."""
        with contextlib.suppress(OSError, xmlrpc.client.Error):
            self._call("shutdown")
        wait_until(lambda: not stack_processes(self._home), limit=45)
        end_processes(self._home)

    def kill(self) -> None:
        """Kills supervisord and every service; unwritten data is lost."""
        while processes := stack_processes(self._home):
            _signal(processes, signal.SIGKILL)
            psutil.wait_procs(processes, timeout=10)

    def _config(self, programs: list[Program]) -> str:
        logs = self._home / "logs"
        listener = _quoted((sys.executable, "-I", crash_log.__file__, str(logs)))
        sections = [
            f"[supervisord]\nlogfile={logs / 'supervisord.log'}\npidfile={self._home / 'supervisord.pid'}\n"
            f"childlogdir={logs}\nsilent=true\n",
            f"[inet_http_server]\nport={HOST}:{self._state.ports['supervisor']}\nusername=switchboard\n"
            f"password={self._state.passwords['supervisor']}\n",
            "[rpcinterface:supervisor]\nsupervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n",
            f"[eventlistener:{LISTENER}]\ncommand={listener}\nevents={crash_log.EVENTS}\n"
            f"stderr_logfile={logs / (LISTENER + '.log')}\nstderr_logfile_maxbytes=1MB\n",
        ]
        return "\n".join([*sections, *(self._section(program) for program in programs)])

    def _section(self, program: Program) -> str:
        environment = {**program.environment, STACK_VARIABLE: str(self._home), "TZ": "UTC"}
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
    """Returns the resident bytes of a process and its children; 0 if it has ended."""
    try:
        process = psutil.Process(pid)
        return sum(int(item.memory_info().rss) for item in [process, *process.children(recursive=True)])
    except psutil.Error:
        return 0


def _percent(text: str) -> str:
    return text.replace("%", "%%")


def stack_processes(home: Path) -> list[psutil.Process]:
    """Returns the live processes of the stack."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get(STACK_VARIABLE) == str(home.resolve()):
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
