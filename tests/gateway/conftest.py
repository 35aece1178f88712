"""Real servers on the tests' own database: `api` and `web` as the Procfile starts them, once for all tests."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from django.conf import settings
from django.db import connection

from core.intake.keys import make_key
from core.models import Call, Key, User
from core.simulator.server import Simulator
from tests import environment
from tests.bench.gateway.servers import clients_of

ROOT = Path(__file__).parents[2]
LONGEST_WAIT = 30.0
# Requests that a test makes at the same moment, at most.
MOST_AT_ONCE = 50
MODEL = "claude-haiku-5-5"


def until(condition: Callable[[], Any], what: str) -> None:
    deadline = time.monotonic() + LONGEST_WAIT
    while not condition():
        assert time.monotonic() < deadline, f"in vain waited for {what}"
        time.sleep(0.02)


@dataclass
class Server:
    """A running process of the product."""

    url: str
    process: subprocess.Popen[bytes]
    # Threads that its server keeps once they have been needed.
    pool: int
    log: Path

    def threads(self) -> int:
        """How many threads its worker has now."""
        return sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in self._workers())

    def clients(self) -> int:
        """How many connections of clients its worker holds now."""
        return sum(clients_of(int(pid), int(self.url.rsplit(":", 1)[1])) for pid in self._workers())

    def _workers(self) -> list[str]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return children or [str(self.process.pid)]


def _address_of_the_tests_database() -> str:
    values: dict[str, Any] = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{values['NAME']}"
    return f"postgres://{values['USER']}@/{values['HOST']}/{values['NAME']}"


@contextlib.contextmanager
def served(name: str, pool: int = 0, **extra: str) -> Iterator[Server]:
    """The Procfile's process `name` on a free port."""
    lines = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())
    *assignments, program = _split(lines[name])
    port = str(environment.free_port())
    env = {**os.environ, **dict(each.split("=", 1) for each in assignments), **extra}
    env |= {"HOST": "127.0.0.1", "PORT": port, "DATABASE_URL": _address_of_the_tests_database()}
    command = [str(Path(sys.executable).parent / program.split()[0]), *shlex.split(program)[1:]]
    log = environment.FOLDER / f"{name}-{port}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=output, stderr=output)
    try:
        until(lambda: _answers(int(port)) or process.poll() is not None, f"{name}: {log.read_text()}")
        yield Server(f"http://127.0.0.1:{port}", process, pool, log)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _split(line: str) -> list[str]:
    words = shlex.split(line)
    ahead = [word for word in words if "=" in word and word.split("=")[0].isupper()]
    return [*ahead, " ".join(words[len(ahead) :])]


def _answers(port: int) -> bool:
    """It listens before its worker is ready; how long that takes is not what is tested."""
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/healthz", timeout=30).is_success
    except httpx2.TransportError:
        return False


@pytest.fixture(scope="session")
def api(simulator: Simulator, django_db_setup: None) -> Iterator[Server]:
    """The process for much traffic: threads."""
    with served("api", pool=settings.WEB_THREADS) as server:
        yield server


@pytest.fixture(scope="session")
def web(simulator: Simulator, django_db_setup: None) -> Iterator[Server]:
    """The process for pages, which serves programs too: an event loop."""
    # It keeps the threads that it needed for as many requests as came together.
    with served("web", pool=MOST_AT_ONCE) as server:
        yield server


@pytest.fixture(params=["api", "web"])
def server(request: pytest.FixtureRequest) -> Server:
    """Both, one after the other."""
    chosen: Server = request.getfixturevalue(request.param)
    return chosen


@dataclass
class Program:
    """A key of somebody, and what it sends."""

    key: Key
    secret: str

    # Closed with the test: they hold connections.
    sdks: list[anthropic.Anthropic] = field(default_factory=list)

    def sdk(self, url: str, **options: Any) -> anthropic.Anthropic:
        options = {"max_retries": 0, "timeout": 20, "api_key": self.secret, **options}
        self.sdks.append(anthropic.Anthropic(base_url=url, **options))
        return self.sdks[-1]

    def hang_up(self) -> None:
        for sdk in self.sdks:
            sdk.close()

    def headers(self, **more: str) -> dict[str, str]:
        return {"x-api-key": self.secret, "anthropic-version": "2026-10-21", **more}

    def last_call(self) -> Call:
        return Call.objects.filter(key=self.key).latest("created_at")


@pytest.fixture
def program(member: User, catalogue: None) -> Iterator[Program]:
    key, secret = make_key("Invoices", member, by=None)
    made = Program(key, secret)
    yield made
    made.hang_up()


@pytest.fixture
def simulated(simulator: Simulator) -> Simulator:
    """The simulator with an empty bill."""
    simulator.state.clear()
    return simulator


def question(text: str = "The invoice is due on Friday. Please pay it.", **more: Any) -> dict[str, Any]:
    """A small Messages request."""
    return {"model": MODEL, "max_tokens": 300, "messages": [{"role": "user", "content": text}], **more}


@pytest.fixture
def other(outsider: User, catalogue: None) -> Iterator[Program]:
    """A key of somebody else."""
    key, secret = make_key("Letters", outsider, by=None)
    made = Program(key, secret)
    yield made
    made.hang_up()
