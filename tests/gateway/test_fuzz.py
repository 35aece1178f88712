"""Does any body at all make `/v1/messages` fail? Only the simulator may answer 500 or more, and nobody asks it to."""

from __future__ import annotations

import os
from typing import Any

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.intake.keys import make_key
from core.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("simulator", "ready_made")]

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


def test_no_body_makes_it_fail(member: User) -> None:
    secret = make_key("Fuzzer", member, by=None, attempts=1)[1]

    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(body=BODIES | JSON | st.binary(max_size=50))
    def look(body: Any) -> None:
        if isinstance(body, dict):
            body.pop("stream", None)
        key = {"x-api-key": secret}
        response = Client().post("/v1/messages", body, content_type="application/json", headers=key)
        assert response.status_code < 500, (body, response.content)
        assert response.json()["type"] in {"message", "error"}

    look()
