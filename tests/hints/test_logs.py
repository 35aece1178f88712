"""What stands in the log, and what never does?"""

from __future__ import annotations

import io
import json
import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import DataError, connection
from django.test import Client

from claudeapp.logs import logging_for
from core.execution.run import run_call
from core.hints.logs import about, call_id, discreet
from core.intake.accept import accept
from core.models import Call, Key, KeySecret, Prompt, User
from core.simulator.server import Simulator

WORDS = "wombat-lagoon-seventeen"


@pytest.fixture
def written(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    """All that is logged at DEBUG, as JSON, as a process in production writes it."""
    stream = io.StringIO()
    form = getattr(request, "param", "JSON")
    configured = logging_for("DEBUG", form)
    configured["handlers"]["console"]["stream"] = stream
    logging.config.dictConfig(configured)
    # As with DEBUG=true: Django then offers each statement with its values to the log.
    connection.force_debug_cursor = True
    yield stream
    connection.force_debug_cursor = False
    logging.config.dictConfig(settings.LOGGING)


def parsed(written: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


@pytest.fixture
def secret(member: User) -> str:
    return KeySecret.make(Key.objects.create(name="Nightly", user=member), None)[1]


@pytest.mark.parametrize(
    ("directive", "status"),
    [
        ("", "succeeded"),
        ("[[simulate: status=400]]", "failed"),
        ("[[simulate: status=529]]", "waiting"),
        ("[[simulate: cut after=3]]", "waiting"),
    ],
)
def test_a_whole_call_leaves_its_id_in_the_log_and_no_word_of_its_prompt(
    simulator: Simulator,
    prompt: Prompt,
    member: User,
    client: Client,
    written: io.StringIO,
    directive: str,
    status: str,
) -> None:
    client.force_login(member)
    page = client.post("/p/summarise/", {"document": f"{directive} {WORDS}", "length": "short"}, follow=True)
    assert page.status_code == 200
    call = Call.objects.get()
    assert run_call(call.pk).status == status
    client.get(call.get_absolute_url())
    lines = parsed(written)
    assert {line["call"] for line in lines if line.get("call")} == {str(call.pk)}
    assert WORDS not in written.getvalue()
    assert settings.SECRET_KEY not in written.getvalue()
    call.refresh_from_db()
    assert WORDS in json.dumps(call.request)
    assert not [answer for answer in call.text.split() if len(answer) > 12 and answer in written.getvalue()]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 200),
        ({"messages": [{"role": "user", "content": f"[[simulate: status=400]] {WORDS}"}]}, 400),
        ({"max_tokens": WORDS}, 400),
        ({"model": f"{WORDS}-1"}, 404),
    ],
)
def test_a_programs_call_leaves_neither_its_key_nor_its_words(
    simulator: Simulator, catalogue: None, client: Client, secret: str, written: io.StringIO, body: dict[str, Any],
    status: int,
) -> None:  # fmt: skip
    asked = {"model": "claude-haiku-5-5", "max_tokens": 50, "messages": [{"role": "user", "content": WORDS}], **body}
    headers = {"x-api-key": secret, "X-Request-ID": "from-the-proxy-1"}
    answer = client.post("/v1/messages", asked, content_type="application/json", headers=headers)
    assert answer.status_code == status
    if status == 404:
        assert answer.json()["request_id"] == "req_from-the-proxy-1"
    text = written.getvalue()
    assert WORDS not in text
    assert secret not in text
    lines = parsed(written)
    assert {line["request"] for line in lines if line.get("request")} <= {"from-the-proxy-1"}
    if status == 200:
        (line,) = [line for line in lines if line["message"].endswith("succeeded")]
        assert (line["call"], line["request"]) == (str(Call.objects.get().pk), "from-the-proxy-1")


def test_a_wrong_key_is_not_written_down(catalogue: None, client: Client, written: io.StringIO) -> None:
    client.post("/v1/messages", {}, content_type="application/json", headers={"x-api-key": WORDS})
    assert WORDS not in written.getvalue()


def test_a_row_that_the_database_refuses_is_not_told_in_the_traceback(written: io.StringIO) -> None:
    try:
        try:
            raise ValueError("first")
        except ValueError as error:
            raise DataError(f"new row violates a rule\nDETAIL:  Failing row contains ({WORDS}).") from error
    except DataError:
        logging.getLogger("core.test").exception("it was refused")
    (line,) = parsed(written)
    assert "new row violates a rule" in line["error"]
    assert "ValueError: first" in line["error"]
    assert "test_logs.py" in line["error"]
    assert WORDS not in line["error"]


def test_sentry_is_sent_no_more_of_an_error_than_the_log_has() -> None:
    told = f"new row violates a rule\nDETAIL:  Failing row contains ({WORDS})."
    event = {
        "level": "error",
        "exception": {"values": [{"type": "ValueError", "value": ""}, {"type": "DataError", "value": told}]},
        "breadcrumbs": {"values": [{"category": "query", "message": None}, {"message": f"tried: {told}"}]},
        "logentry": {"message": "it was refused: %s", "formatted": told, "params": [repr(told)]},
    }
    sent = discreet(event, {})
    assert WORDS not in json.dumps(sent)
    assert sent["exception"]["values"][1] == {"type": "DataError", "value": "new row violates a rule"}
    assert sent["logentry"]["formatted"] == "new row violates a rule"
    assert sent["breadcrumbs"]["values"][1]["message"] == "tried: new row violates a rule"
    assert discreet({"level": "error"}, {}) == {"level": "error"}


def test_each_line_is_one_object_with_what_one_searches_for(written: io.StringIO) -> None:
    with about(call_id, "abc"):
        logging.getLogger("core.test").warning("two\nlines of %s", "text")
    logging.getLogger("core.test").debug("nothing in particular")
    first, second = parsed(written)
    assert (first["level"], first["logger"], first["message"], first["call"]) == (
        "WARNING", "core.test", "two\nlines of text", "abc",
    )  # fmt: skip
    assert "call" not in second
    assert first["time"].endswith("+00:00")


@pytest.mark.parametrize("written", ["LINE"], indirect=True)
def test_people_read_lines(written: io.StringIO) -> None:
    with about(call_id, "abc"):
        logging.getLogger("core.test").warning("something")
    assert written.getvalue().rstrip().endswith("WARNING core.test call=abc something")


@pytest.mark.parametrize("given", ["x", "a" * 65, "line\nbreak-in", "späße-und-mehr", "has space"])
def test_only_a_sensible_name_is_taken_from_a_proxy(client: Client, given: str) -> None:
    named = client.get("/healthz", headers={"X-Request-ID": given})["X-Request-ID"]
    assert named != given
    assert len(named) == 16


def test_accepting_a_call_needs_no_id(prompt: Prompt, member: User, written: io.StringIO) -> None:
    assert prompt.published is not None
    accept(prompt.published, {"document": WORDS, "length": "short"}, user=member)
    assert WORDS not in written.getvalue()
