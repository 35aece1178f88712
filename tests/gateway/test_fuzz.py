"""Does any body at all make `/v1/messages` fail? Only the simulator may answer 500 or more, and nobody asks it to."""

from __future__ import annotations

import json
import os
from typing import Any

import httpx2
import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django.live_server_helper import LiveServer

from core.intake.keys import make_key
from core.models import Call, User
from tests.gateway.conftest import until

pytestmark = pytest.mark.usefixtures("simulator", "ready_made")

EXAMPLES = int(os.environ.get("CLAUDEAPP_SCHEMA_EXAMPLES", "40"))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
TYPES = ["text", "image", "document", "tool_use", "tool_result", "thinking", "new_kind"]
BLOCKS = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES) | JSON},
    optional=dict.fromkeys(("text", "source", "cache_control", "id", "name", "input", "content"), JSON),
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "system"]), "content": JSON | st.lists(BLOCKS, max_size=3)}
    )
    | JSON,
    max_size=3,
)
NAMES = ("system", "tools", "tool_choice", "thinking", "metadata", "stop_sequences", "output_config", "stream", "x")
BODIES = st.fixed_dictionaries(
    {
        "model": st.sampled_from(["claude-haiku-5-5", "auto", "fast", "none"]) | JSON,
        "max_tokens": st.integers(-1, 500) | JSON,
        "messages": MESSAGES | JSON,
    },
    optional=dict.fromkeys(NAMES, JSON),
)


# What a program may send beside its body, sense or not.
WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
HEADERS = st.dictionaries(
    st.sampled_from(
        ["anthropic-beta", "anthropic-version", "idempotency-key", "x-stainless-retry-count", "accept", "content-type"]
    ),
    WORDS | st.sampled_from(["1", "-1", "application/json", "text/event-stream"]),
    max_size=3,
)


@st.composite
def torn(draw: st.DrawFn) -> bytes:
    """A body of which something got lost on the way, or was put in."""
    body = {name: value for name, value in draw(BODIES).items() if name != "stream"}
    whole = json.dumps(body).encode()
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(whole))] * 2)))
    return whole[:start] + draw(st.binary(max_size=3)) + whole[end:]


def unchecked(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)


@pytest.mark.django_db
def test_no_body_makes_it_fail(member: User) -> None:
    secret = make_key("Fuzzer", member, by=None, attempts=1)[1]

    @unchecked(EXAMPLES)
    @given(body=BODIES | JSON | st.binary(max_size=50) | torn(), headers=HEADERS)
    def look(body: Any, headers: dict[str, str]) -> None:
        if isinstance(body, dict):
            # A stream has a thread of its own, which sees nothing of this test's transaction.
            body.pop("stream", None)
        sent = {**headers, "x-api-key": secret}
        response = Client().post("/v1/messages", encoded(body), "application/json", headers=sent)
        assert response.status_code < 500, (body, response.content)
        assert response.json()["type"] in {"message", "error"}

    look()


@pytest.mark.django_db
@pytest.mark.parametrize("odd", [[], {}, [{}], 7, None, True])
@pytest.mark.parametrize("model", ["claude-haiku-5-5", "auto"])
def test_a_kind_that_is_no_word_is_a_mistake_of_the_callers(member: User, odd: Any, model: str) -> None:
    secret = make_key("Odd", member, by=None, attempts=1)[1]
    for place in ("block", "source", "tool", "thinking", "role"):
        body: dict[str, Any] = {"model": model, "max_tokens": 20, "messages": [{"role": "user", "content": "x"}]}
        block: dict[str, Any] = (
            {"type": "image", "source": {"type": odd}} if place == "source" else {"type": odd, "text": "x"}
        )
        changes: dict[str, dict[str, Any]] = {
            "block": {"messages": [{"role": "user", "content": [block]}]},
            "source": {"messages": [{"role": "user", "content": [block]}]},
            "tool": {"tools": [{"type": odd, "name": odd, "input_schema": {}}], "tool_choice": {"type": odd}},
            "thinking": {"thinking": {"type": odd}, "output_config": {"format": {"type": odd}, "effort": odd}},
            "role": {"messages": [{"role": odd, "content": "x"}]},
        }
        response = Client().post(
            "/v1/messages", encoded({**body, **changes[place]}), "application/json", headers={"x-api-key": secret}
        )
        assert response.status_code < 500, (place, response.content)


@pytest.mark.django_db(transaction=True)
def test_no_stream_makes_it_fail(live_server: LiveServer, member: User) -> None:
    secret = make_key("Fuzzer", member, by=None, attempts=1)[1]

    @unchecked(max(EXAMPLES // 2, 1))
    @given(body=BODIES, headers=HEADERS)
    def look(body: dict[str, Any], headers: dict[str, str]) -> None:
        sent = {**headers, "x-api-key": secret}
        response = http.post(f"{live_server.url}/v1/messages", content=encoded({**body, "stream": True}), headers=sent)
        assert response.status_code < 500, (body, response.content)
        if response.status_code == 200:
            assert response.text.startswith("event: message_start\n")
            assert response.text.rstrip().split("\n\n")[-1].startswith(("event: message_stop", "event: error"))
        else:
            assert response.json()["type"] == "error"

    with httpx2.Client(timeout=20) as http:
        look()
    until(lambda: not Call.objects.exclude(status__in=Call.FINISHED).exists(), "the last settlements")
    assert Call.objects.exists()


def encoded(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()
