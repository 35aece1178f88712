"""A script with a key, in the tests' own process."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client

from core.intake.keys import make_key
from core.models import Call, Key, Prompt, User


@dataclass
class Answer:
    """What came back: status, headers, and the JSON in it."""

    status: int
    headers: Any
    json: Any

    @property
    def error(self) -> str:
        """The kind of error, once its shape has been looked at."""
        assert self.json["type"] == "error"
        assert self.json["request_id"] == self.headers["request-id"]
        assert self.json["error"]["message"]
        return str(self.json["error"]["type"])

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])


@dataclass
class Script:
    """A key, and requests with it."""

    key: Key
    secret: str

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        content = body if isinstance(body, bytes | str) else json.dumps(body)
        sent = {"authorization": f"Bearer {self.secret}", **{name.replace("_", "-"): headers[name] for name in headers}}
        response = Client().generic(
            method, path, content, content_type="application/json", headers={k: v for k, v in sent.items() if v}
        )
        return Answer(response.status_code, response.headers, response.json())

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, b"", **headers)

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        return self.send("POST", path, body, **headers)

    def chat(self, prompt: str, **more: Any) -> Answer:
        return self.post("/api/chat", {"prompt": prompt, "model": "claude-haiku-5-5", "max_tokens": 200, **more})

    def call(self, answer: Answer) -> Call:
        return Call.objects.get(pk=uuid.UUID(answer.json["id"]))


@pytest.fixture
def scripts(catalogue: None) -> Callable[..., Script]:
    """Makes a key of somebody, with whatever else is said of it."""

    def make(user: User, **values: Any) -> Script:
        return Script(*make_key(f"of {user}", user, by=None, **values))

    return make


@pytest.fixture
def script(scripts: Callable[..., Script], member: User) -> Script:
    return scripts(member)


@pytest.fixture
def stranger(scripts: Callable[..., Script], outsider: User) -> Script:
    """Another program, of somebody without a role."""
    return scripts(outsider)


@pytest.fixture
def summary(prompt: Prompt) -> dict[str, Any]:
    """A call for a prompt, as a script asks for it."""
    return {"prompt": prompt.slug, "inputs": {"document": "A long text.", "length": "short"}}
