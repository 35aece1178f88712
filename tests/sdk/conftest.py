from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from django.db import connection
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from core.intake.keys import make_key
from core.models import Key, User
from core.simulator.server import Simulator
from tests.batches.conftest import look_after


@pytest.fixture(autouse=True)
def _unhurried_batches(simulator: Simulator) -> Iterator[None]:
    """Both servers have to say first that a batch is at work."""
    simulator.state.batches.seconds = 0.3
    yield
    simulator.state.batches.seconds = 0


@pytest.fixture(autouse=True)
def _patient_breaker(settings: Settings) -> None:
    """The scenarios in which Claude fails must not keep the next ones from Claude."""
    settings.BREAKER_FAILURES = 1000


@pytest.fixture
def secret(catalogue: None, member: User) -> str:
    """A key that is served as the SDK without retries of its own expects: one try."""
    _, text = make_key("SDK", user=member, by=member)
    Key.objects.update(attempts=1)
    return str(text)


@pytest.fixture
def gateway(live_server: LiveServer) -> Iterator[str]:
    """The address of the gateway, beside which a worker looks after the batches."""
    over = threading.Event()

    def work() -> None:
        while not over.wait(0.05):
            look_after()
        connection.close()

    worker = threading.Thread(target=work)
    worker.start()
    yield live_server.url
    over.set()
    worker.join()
