"""Can a script have many rows answered, come back for them, and stop them?"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from core.bulk import clock
from core.execution.run import run_call
from core.models import Batch, Budget, BudgetWindow, Call, ClaudeModel, Prompt, User
from core.simulator.server import Simulator
from tests.batches.conftest import assert_books_are_the_bill, tended
from tests.plain.conftest import Answer, Script

pytestmark = pytest.mark.django_db


@pytest.fixture
def claude(simulator: Simulator) -> Simulator:
    simulator.state.clear()
    return simulator


@pytest.fixture
def many(prompt: Prompt, claude: Simulator, member: User) -> dict[str, Any]:
    Budget.objects.create(name="All", scope=Budget.Scope.ORGANISATION, amount=100, owner=member)
    return {"prompt": prompt.slug, "rows": [{"document": "One."}, {"document": "Two.", "length": "long"}]}


def lines_of(script: Script, answer: Answer) -> list[dict[str, Any]]:
    response: Any = Client().get(answer.json["results_url"], headers={"authorization": f"Bearer {script.secret}"})
    assert response["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in b"".join(response.streaming_content).splitlines()]


def test_rows_are_reserved_sent_as_a_batch_and_answered_in_their_order(
    script: Script, many: dict[str, Any], claude: Simulator
) -> None:
    accepted = script.post("/api/bulk", {**many, "title": "Letters"})
    assert accepted.status == 202
    assert accepted.headers["location"] == accepted.json["url"]
    assert accepted.json["status"] == "in_progress"
    assert accepted.json["counts"] == {"answered": 0, "failed": 0, "canceled": 0, "waiting": 2}
    assert BudgetWindow.objects.get().reserved > 0
    assert [line["text"] for line in lines_of(script, accepted)] == [None, None]

    batch = tended(Batch.objects.get())

    answer = script.get(accepted.json["url"])
    assert (answer.json["status"], answer.json["counts"]["answered"], answer.json["title"]) == ("ended", 2, "Letters")
    assert Decimal(answer.json["cost_usd"]) == batch.spent > 0
    lines = lines_of(script, accepted)
    assert [(line["row"], line["status"], line["error"]) for line in lines] == [
        (1, "succeeded", None),
        (2, "succeeded", None),
    ]
    assert all(line["text"] and Decimal(line["cost_usd"]) for line in lines)
    assert Call.objects.get(pk=lines[1]["call"]).inputs == {"document": "Two.", "length": "long"}
    assert_books_are_the_bill(claude)


def test_rows_are_answered_at_once_where_asked_for(script: Script, many: dict[str, Any], claude: Simulator) -> None:
    accepted = script.post("/api/bulk", {**many, "live": True})
    for call in Call.objects.all():
        run_call(call.pk)
    clock.tend()
    assert script.get(accepted.json["url"]).json["status"] == "ended"
    assert_books_are_the_bill(claude)


def test_a_row_that_the_prompt_cannot_take_starts_nothing_or_is_skipped(script: Script, many: dict[str, Any]) -> None:
    rows = [*many["rows"], {"length": "huge", "lenght": "x"}]
    refused = script.post("/api/bulk", {**many, "rows": rows})
    assert (refused.status, refused.error) == (400, "invalid_request_error")
    assert refused.message.startswith(
        "rows.3: document: Please fill this in.; length: Please choose one of the options."
    )
    assert not Batch.objects.exists()
    accepted = script.post("/api/bulk", {**many, "rows": rows, "skip_faulty": True})
    assert (accepted.status, accepted.json["rows"], list(accepted.json["skipped"])) == (202, 2, ["3"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": []}, "rows: List should have at least 1 item"),
        ({"rows": [{}] * 10_001}, "rows: List should have at most 10000 items"),
        ({"rows": ["x"]}, "rows.0: Input should be a valid dictionary"),
        ({"lane": "live"}, "lane: Extra inputs are not permitted"),
        ({"live": True, "rows": [{"document": "x"}] * 1001}, "live: at most 1,000 rows"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_sentence(
    script: Script, many: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    answer = script.post("/api/bulk", {**many, **change})
    assert (answer.status, answer.error) == (400, "invalid_request_error")
    assert message in answer.message
    assert not Batch.objects.exists()


def test_over_a_budget_nothing_starts(script: Script, many: dict[str, Any], member: User) -> None:
    Budget.objects.create(name="Small", scope=Budget.Scope.USER, user=member, amount=Decimal("0.0001"), owner=member)
    answer = script.post("/api/bulk", many)
    assert (answer.status, answer.error) == (402, "billing_error")
    assert not Call.objects.exists()


def test_the_same_named_request_starts_once(script: Script, many: dict[str, Any]) -> None:
    first = script.post("/api/bulk", many, idempotency_key="letters")
    assert script.post("/api/bulk", many, idempotency_key="letters").json["id"] == first.json["id"]
    assert script.post("/api/bulk", {**many, "title": "x"}, idempotency_key="letters").status == 422
    assert Batch.objects.count() == 1


def test_a_run_is_stopped(script: Script, many: dict[str, Any], claude: Simulator) -> None:
    url = script.post("/api/bulk", many).json["url"]
    assert script.send("DELETE", url, b"").json["status"] == "canceling"
    tended(Batch.objects.get())
    assert script.get(url).json["counts"]["canceled"] == 2
    assert script.send("DELETE", url, b"").status == 409
    assert_books_are_the_bill(claude)


def test_a_key_sees_and_stops_its_own_runs_only(script: Script, stranger: Script, many: dict[str, Any]) -> None:
    first = script.post("/api/bulk", many).json
    second = script.post("/api/bulk", many).json
    for path in (first["url"], first["results_url"]):
        assert stranger.get(path).status == 404
    assert stranger.send("DELETE", first["url"], b"").status == 404
    assert stranger.get("/api/bulk").json["data"] == []
    page = script.get("/api/bulk?limit=1").json
    assert ([each["id"] for each in page["data"]], page["has_more"]) == ([second["id"]], True)
    assert script.get(f"/api/bulk?after_id={page['last_id']}").json["data"][0]["id"] == first["id"]
    assert script.get("/v1/messages/batches").json["data"] == []


def test_a_key_is_held_to_its_prompts_and_models(
    scripts: Callable[..., Script], member: User, many: dict[str, Any], prompt: Prompt
) -> None:
    bound = scripts(member)
    bound.key.models_allowed.set(ClaudeModel.objects.filter(pk="claude-opus-5-5"))
    answer = bound.post("/api/bulk", many)
    assert (answer.status, "claude-haiku-5-5" in answer.message) == (403, True)
    other = Prompt.objects.create(name="Other", slug="other", template="x", model=prompt.model)
    other.publish(None)
    bound.key.models_allowed.clear()
    bound.key.prompts_allowed.set([other])
    assert bound.post("/api/bulk", many).status == 403
    assert bound.post("/api/bulk", {**many, "prompt": "nothing"}).status == 404
    assert not Batch.objects.exists()
