"""Does each fault of Claude's reach the program as `docs/gateway.md` says, and is what it cost in the ledger?

The table there is read, and each of its rows is tried with the simulator's faults for it: whole and as a stream, alone,
with another model behind it, with a written answer behind it, and with a second try that goes well.
"""

from __future__ import annotations

import itertools
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import httpx2
import pytest
from django.test import Client
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from core.claude.errors import ClaudeError
from core.execution import breaker
from core.execution.written import MODEL as WRITTEN
from core.intake.keys import make_key
from core.models import Budget, Call, CostRecord, FallbackChain, Reservation, User
from core.simulator.server import Simulator
from tests import environment
from tests.execution.programs import ledger_is_the_bill
from tests.gateway.conftest import ROOT, until

# The rows of the table, by their first cell, and the simulator's faults that belong to each. Where the row has no cell
# for a whole answer, or for a stream, the fault is not tried that way.
FAULTS: dict[str, list[str]] = {
    "refuses: 400, 401, 403, 404, 413, 422": [f"status={status}" for status in (400, 401, 403, 404, 413, 422)],
    "a spend limit is reached": ["spend-limit", "status=429 error_code=enforced_spend_limit_reached"],
    "fails for now: 408, 409, 429, 500, 503, 529": [
        f"status={status} retry-after-ms=20" for status in (408, 409, 429, 500, 503, 529)
    ],
    "does not answer in time": ["hang seconds=20"],
    "breaks the connection without a word": ["drop"],
    "breaks off in a whole answer": ["cut", "drop after=5"],
    "falls silent in a whole answer": ["hang seconds=20 after=5"],
    "breaks off before a stream's first words": ["cut", "drop after=0"],
    "falls silent before a stream's first words": ["hang seconds=20 after=0"],
    "tells of an error before a stream's first words": ["error-event=overloaded_error"],
    "breaks off later in a stream": ["cut after=3", "drop after=3"],
    "falls silent later in a stream": ["hang seconds=20 after=3"],
    "tells of an error later in a stream": ["error-event=overloaded_error after=3"],
    "is slow, but in time": ["slow seconds=0.5"],
    "declines to answer (`stop_reason: refusal`)": ["refusal"],
}
# Not the simulator's to play; it has a test of its own.
UNREACHABLE = "cannot be reached"

NEXT = "claude-haiku-5-5"
# One for each way a fault is tried, so that pacing lets none reach another.
MODELS = (
    "claude-sonnet-5-5",
    "claude-opus-5-5",
    "claude-sonnet-5",
    "claude-opus-5",
    "claude-sonnet-4-5-20250929",
    "claude-opus-4-5-20251101",
    "claude-haiku-4-5-20251001",
    "claude-fable-5-2",
)
ANSWER = "We are away. Please ask again tomorrow."


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    fault: str
    whole: str
    streamed: str
    tried_again: str
    another_model: str
    cost: str

    def helped_by(self) -> set[str]:
        """What brings an answer all the same, if it stands behind the model."""
        other = {"yes": {"a model", "a written answer"}, "written answer": {"a written answer"}}
        again = {"yes": {"a second try"}}
        return other.get(self.another_model, set()) | again.get(self.tried_again, set())

    def cell(self, streamed: bool) -> str:
        return self.streamed if streamed else self.whole


def table() -> dict[str, Row]:
    """The rows in `docs/gateway.md`, by their first cell."""
    section = (ROOT / "docs" / "gateway.md").read_text().split("## When Claude fails\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    rows = [Row(*(cell.strip() for cell in line.strip("|").split("|"))) for line in lines]
    return {row.fault: row for row in rows}


TABLE = table()


@dataclass(frozen=True)
class Told:
    """What came back: an error's kind, or the words and the model of an answer, or a part of it and an error."""

    status: int
    call: str
    error: dict[str, Any] | None
    words: str
    model: str


@dataclass(frozen=True)
class Way:
    """One way a fault is tried: `behind` is what stands behind the model."""

    behind: str
    streamed: bool
    model: str


WAYS = [
    Way(behind, streamed, model)
    for (behind, streamed), model in zip(
        itertools.product(["nothing", "a model", "a written answer", "a second try"], [False, True]),
        MODELS,
        strict=True,
    )
]


@pytest.fixture
def quick(live_server: LiveServer, simulator: Simulator, settings: Settings) -> str:
    """The address of a server with no more patience than a second a try."""
    settings.SYNC_ATTEMPTS = settings.SYNC_TRY_SECONDS = 1
    settings.BREAKER_FAILURES = 100
    return live_server.url


@pytest.fixture
def secrets(member: User, catalogue: None) -> dict[str, str]:
    """A key for each thing that may stand behind a model, and a budget over all of them."""
    Budget.objects.create(name="All", scope=Budget.Scope.ORGANISATION, amount=1000, owner=member)
    other = FallbackChain.objects.create(name="Another model")
    other.steps.create(model=NEXT)
    written = FallbackChain.objects.create(name="A written answer", answer=ANSWER)
    return {
        "nothing": make_key("Alone", member, by=None)[1],
        "a model": make_key("Chain", member, by=None, fallback=other)[1],
        "a written answer": make_key("Written", member, by=None, fallback=written)[1],
        "a second try": make_key("Again", member, by=None, attempts=2)[1],
    }


def body(fault: str, way: Way) -> dict[str, Any]:
    # A second try goes well, and so does another model.
    directive = f"{fault} times=1" if way.behind == "a second try" else f"{fault} model={way.model}"
    text = f"[[simulate: {directive}]] [[simulate: long tokens=60]] Tell me ({way.streamed})."
    messages = [{"role": "user", "content": text}]
    return {"model": way.model, "max_tokens": 300, "messages": messages, "stream": way.streamed}


def ask(http: httpx2.Client, url: str, secret: str, asked: dict[str, Any]) -> Told:
    headers = {"x-api-key": secret, "anthropic-version": "2026-10-21"}
    return told(http.post(f"{url}/v1/messages", json=asked, headers=headers))


def told(answer: Any) -> Told:
    call = answer.headers.get("x-claudeapp-call", "")
    if answer.headers["content-type"].startswith("text/event-stream"):
        return _streamed(answer.text, call)
    came = answer.json()
    words = "".join(block.get("text", "") for block in came.get("content", []))
    return Told(answer.status_code, call, came.get("error"), words, came.get("model", ""))


def _streamed(text: str, call: str) -> Told:
    events = [json.loads(line.removeprefix("data: ")) for line in text.splitlines() if line.startswith("data: ")]
    pieces = [event["delta"] for event in events if event["type"] == "content_block_delta"]
    words = "".join(piece.get("text") or piece.get("thinking") or "" for piece in pieces)
    model = next((event["message"]["model"] for event in events if event["type"] == "message_start"), "")
    ended = events[-1]
    assert ended["type"] in {"message_stop", "error"}
    return Told(200, call, ended.get("error"), words, model)


def ended(told: Told) -> Call:
    call = Call.objects.get(pk=told.call)
    until(lambda: Call.objects.get(pk=call.pk).finished, "the settlement")
    call.refresh_from_db()
    return call


def test_the_table_and_the_matrix_have_the_same_rows() -> None:
    assert sorted(TABLE) == sorted([*FAULTS, UNREACHABLE])
    assert {row.tried_again for row in TABLE.values()} == {"yes", "no", "–"}
    assert {row.another_model for row in TABLE.values()} == {"yes", "no", "–", "written answer"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_answered_as_the_table_says_and_the_ledger_is_the_bill(
    quick: str, simulator: Simulator, secrets: dict[str, str], name: str
) -> None:
    row = TABLE[name]
    tries = [(fault, way) for fault in FAULTS[name] for way in WAYS if row.cell(way.streamed) != "–"]
    with httpx2.Client(timeout=20) as http, ThreadPoolExecutor(len(WAYS)) as pool:
        simulator.state.clear()
        answers = list(pool.map(lambda each: ask(http, quick, secrets[each[1].behind], body(*each)), tries))
        calls = [ended(answer) for answer in answers]
        until(lambda: ledger_is_the_bill(simulator), "the bill")
        for (fault, way), answer, call in zip(tries, answers, calls, strict=True):
            asked = body(fault, replace(way, behind="nothing"))
            direct = ask(http, simulator.url, "sk-direct", asked) if "Claude's" in row.whole else None
            check_answer(row, way, answer, direct)
            check_records(row, way, call)


def check_answer(row: Row, way: Way, answer: Told, direct: Told | None) -> None:
    helped = way.behind in row.helped_by()
    cell = row.cell(way.streamed)
    if cell == "the answer" or helped:
        models = {"a model": NEXT, "a written answer": WRITTEN}
        model = models.get(way.behind, way.model) if cell != "the answer" else way.model
        assert (answer.status, answer.error, answer.model) == (200, None, model), (way, answer)
        assert model != WRITTEN or answer.words == ANSWER
    elif direct is not None:
        assert (answer.status, answer.error) == (direct.status, direct.error), (way, answer)
    elif part := re.fullmatch(r"its part, then `(\w+)`", cell):
        assert answer.words
        assert (answer.error or {})["type"] == part.group(1), (way, answer)
    else:
        status, kind = cell.split()
        assert (answer.status, (answer.error or {})["type"]) == (int(status), kind.strip("`")), (way, answer)


def check_records(row: Row, way: Way, call: Call) -> None:
    """The try that failed is shown, and it and what came after it is in the ledger as the table says."""
    records = CostRecord.objects.filter(call=call)
    failed = list(call.failed_attempts.values_list("model", flat=True))
    if row.cost == "known":
        check_reservation(call, 0)
        assert failed == []
        assert [record.amount is not None for record in records] == [True]
        return
    assert failed == [way.model], way
    unknown = [record for record in records if record.amount is None]
    assert len(unknown) == (1 if row.cost == "unknown" else 0), (way, list(records))
    assert all(record.model == way.model and record.unknown_reason for record in unknown)
    check_reservation(call, len(unknown))
    answered = call.status == Call.Status.SUCCEEDED and not call.written
    assert len(records) - len(unknown) == answered, (way, list(records))


def check_reservation(call: Call, unknown: int) -> None:
    """Nothing is held any more, but the worst case of what may have been billed unseen."""
    reservation = Reservation.objects.get(call=call)
    known = [record.amount for record in CostRecord.objects.filter(call=call) if record.amount is not None]
    assert (reservation.held, reservation.spent) == (reservation.amount * unknown, sum(known))
    assert (reservation.released_at is None) == bool(unknown)


@pytest.fixture
def unreachable(settings: Settings) -> None:
    settings.ANTHROPIC_BASE_URL = f"http://127.0.0.1:{environment.free_port()}"
    settings.SYNC_ATTEMPTS = 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("unreachable")
@pytest.mark.parametrize("streamed", [False, True])
def test_where_claude_cannot_be_reached_nothing_is_spent(
    client: Client, simulator: Simulator, secrets: dict[str, str], streamed: bool
) -> None:
    row = TABLE[UNREACHABLE]
    for way in [way for way in WAYS if way.streamed == streamed and way.behind in {"nothing", "a written answer"}]:
        headers = {"x-api-key": secrets[way.behind]}
        answer = client.post("/v1/messages", body("slow seconds=0", way), "application/json", headers=headers)
        kept = told_by_django(answer)
        call = ended(kept)
        check_answer(row, way, kept, None)
        check_records(row, way, call)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_model_that_failed_often_is_not_asked(
    client: Client, simulator: Simulator, secrets: dict[str, str], streamed: bool
) -> None:
    simulator.state.clear()
    error = ClaudeError("overloaded_error", "Overloaded", 529, retryable=True)
    for way in [way for way in WAYS if way.streamed == streamed and way.behind != "a second try"]:
        for _ in range(5):
            breaker.note_error(way.model, error)
        headers = {"x-api-key": secrets[way.behind]}
        answer = client.post("/v1/messages", body("slow seconds=0", way), "application/json", headers=headers)
        kept = told_by_django(answer)
        call = ended(kept)
        assert (kept.status, kept.model) == {
            "nothing": (529, ""),
            "a model": (200, NEXT),
            "a written answer": (200, WRITTEN),
        }[way.behind]
        if way.behind == "nothing":
            assert 0 < int(answer.headers["retry-after"]) <= 30
        assert CostRecord.objects.filter(call=call).count() == (way.behind == "a model")
        assert not call.failed_attempts.exists()
        check_reservation(call, 0)
    assert ledger_is_the_bill(simulator)


def told_by_django(answer: Any) -> Told:
    if answer.streaming:
        return _streamed(b"".join(answer.streaming_content).decode(), answer.headers["x-claudeapp-call"])
    return told(answer)
