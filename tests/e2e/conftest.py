"""A whole installation, started as a user starts it, and a browser to use it with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest
from django.conf import settings
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests import environment
from tests.environment import free_port

# Seconds in which everything must be up, on a busy machine.
START_TIMEOUT = 90.0
# What the browser, and htmx, say of a connection that a test itself has cut.
_CUT = ("net::ERR", "Failed to load resource", "htmx:afterRequest", "htmx:sendError")
# Milliseconds that the browser waits for what a test expects.
PATIENCE = 30_000


@dataclass
class Installation:
    """`manage.py run` with a database, a Redis and ports of its own."""

    url: str
    simulator_url: str
    variables: dict[str, str]
    log: Path

    def shell(self, code: str) -> str:
        """What `code` prints inside this installation."""
        command = [sys.executable, "manage.py", "shell", "--verbosity", "0", "-c", code]
        done = subprocess.run(
            command, cwd=settings.BASE_DIR, env=self.variables, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def bill(self) -> dict[str, Decimal]:
        """What the simulator says it is owed, by request id."""
        entries = httpx2.get(f"{self.simulator_url}/_simulator/bill").json()["entries"]
        return {entry["request_id"]: Decimal(entry["amount_usd"]) for entry in entries}

    def ledger(self) -> tuple[dict[str, Decimal], int]:
        """What the ledger says was spent, by request id, and how many amounts it calls unknown; without the demo."""
        code = (
            "import json; from core.models import CostRecord as C; rows = C.objects.filter(demo=False);"
            "print(json.dumps([[r.request_id, r.amount and str(r.amount)] for r in rows]))"
        )
        rows = json.loads(self.shell(code))
        known = {request_id: Decimal(amount) for request_id, amount in rows if amount is not None}
        return known, len(rows) - len(known)

    def assert_books_agree(self) -> None:
        """Ledger and bill agree to the last digit, but for what the ledger itself says it does not know."""
        bill, (known, unknown) = self.bill(), self.ledger()
        billed_only = {request_id: amount for request_id, amount in bill.items() if request_id not in known}
        assert known == {request_id: bill[request_id] for request_id in known}
        assert known
        assert len(billed_only) == unknown
        assert sum(bill.values()) == sum(known.values()) + sum(billed_only.values())

    def workers(self) -> list[int]:
        """The processes that run its calls, without those that start them anew."""
        listed = subprocess.run(["ps", "-ewwo", "pid,args"], check=True, capture_output=True, text=True).stdout
        found = [line.split()[0] for line in listed.splitlines() if " rqworker calls" in line and "kept_" not in line]
        # Each was started with this installation's variables, which the list does not show.
        marker = f"PORT={self.variables['PORT']}\0".encode()
        return [int(pid) for pid in found if marker in _environment_of(int(pid))]


def _environment_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("installation")
    port, simulator_port = free_port(), free_port()
    variables = {
        **os.environ,
        "DATABASE_URL": environment.another_database("e2e"),
        "REDIS_URL": f"unix://{environment.FOLDER}/redis-e2e.sock",
        "PORT": str(port),
        # A killed worker is noticed sooner than in earnest, so that nobody waits for it here.
        "CALL_LEASE": "6",
        "SIMULATOR_PORT": str(simulator_port),
        "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{simulator_port}",
    }
    log = folder / "log"
    with environment.another_redis("e2e"), log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "run"],
            cwd=settings.BASE_DIR,
            env=variables,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        made = Installation(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{simulator_port}", variables, log)
        try:
            _wait_until_ready(made, process)
            yield made
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(timeout=30)
    assert process.returncode == 0, log.read_text()[-4000:]


def _wait_until_ready(made: Installation, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    addresses = [f"{made.url}/readyz", f"{made.simulator_url}/_simulator"]
    while addresses:
        assert process.poll() is None, made.log.read_text()[-4000:]
        assert time.monotonic() < deadline, made.log.read_text()[-4000:]
        addresses = [address for address in addresses if not _answers(address)]
        # How often to look; what ends the waiting is the condition above.
        time.sleep(0.1)


def _answers(address: str) -> bool:
    try:
        return httpx2.get(address, timeout=5).status_code == 200
    except httpx2.TransportError:
        return False


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For these tests only: its driver runs an event loop in this thread, and others want one of their own."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    assert chromium, "a browser is missing: tests/install_parts.sh installs it"
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=[*quiet, "--no-first-run"])
        yield started
        started.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh visitor. Whatever the browser complains about, a blocked script above all, fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    visitor = context.new_page()
    complaints: list[str] = []
    visitor.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    visitor.on("pageerror", lambda error: complaints.append(str(error)))
    yield visitor
    context.close()
    assert [text for text in complaints if not any(words in text for words in _CUT)] == []
