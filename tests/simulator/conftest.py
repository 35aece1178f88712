"""The real SDK over real HTTP against a simulator in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import pytest

from core.simulator import Simulator

MODEL = "claude-haiku-5-5"


@pytest.fixture(autouse=True)
def _empty_redis() -> None:
    """The other tests need a Redis; these need nothing but a free port."""


@pytest.fixture(scope="session")
def running() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


@pytest.fixture
def simulator(running: Simulator) -> Simulator:
    """The one simulator of all tests, with nothing on its bill."""
    running.state.clear()
    return running


@pytest.fixture(scope="session")
def running_client(running: Simulator) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="sk-test", base_url=running.url, max_retries=0) as client:
        yield client


@pytest.fixture
def client(simulator: Simulator, running_client: anthropic.Anthropic) -> anthropic.Anthropic:
    """The one client of all tests: it takes longer to make than a test to run."""
    return running_client


@pytest.fixture
def ask(client: anthropic.Anthropic) -> Callable[..., anthropic.types.Message]:
    """Send one user text; whatever else is given goes out as it is, past the SDK's own checks."""

    def send(text: Any = "Tell me about trees.", **params: Any) -> anthropic.types.Message:
        messages: Any = [{"role": "user", "content": text}]
        message = client.messages.create(model=MODEL, max_tokens=1000, messages=messages, extra_body=params)
        assert isinstance(message, anthropic.types.Message)
        return message

    return send


def text_of(message: Any) -> str:
    """The text blocks of a message."""
    return "".join(block.text for block in message.content if block.type == "text")
