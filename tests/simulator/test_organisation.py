"""The cost report, read by the real SDK, against the bill that it is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import anthropic
import httpx2
import pytest

from core.simulator import Simulator

HAIKU, OPUS, SONNET = "claude-haiku-5-5", "claude-opus-5-5", "claude-sonnet-5-5"
Report = Callable[..., list[Any]]


def midnight(moment: datetime | None = None) -> datetime:
    return (moment or datetime.now(UTC)).replace(hour=0, minute=0, second=0, microsecond=0)


@pytest.fixture(scope="module")
def office(running: Simulator) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(api_key="sk-ant-admin01-test", base_url=running.url, max_retries=0) as client:
        yield client


@pytest.fixture
def report(office: anthropic.Anthropic, simulator: Simulator) -> Report:
    def read(**params: Any) -> list[Any]:
        since = midnight() - timedelta(days=1)
        usual = {"starting_at": since, "ending_at": since + timedelta(days=3), "time_bucket_width": "1d"}
        asked: Any = {**usual, "group_by": ["model"], **params}
        return list(office.beta.organization.analytics.cost.list(**asked))

    return read


def plant(simulator: Simulator, **body: Any) -> httpx2.Response:
    return httpx2.post(f"{simulator.url}/_simulator/differences", json=body)


def cents(rows: list[Any]) -> dict[str, Decimal]:
    return {row.group.model: Decimal(row.cost.amount) for row in rows}


def billed(simulator: Simulator, model: str) -> Decimal:
    entries = simulator.bill()["entries"]
    return sum((Decimal(entry["amount_usd"]) for entry in entries if entry["model"] == model), Decimal(0))


def test_the_report_is_the_bill_in_fractional_cents(report: Report, ask: Any, simulator: Simulator) -> None:
    for model in (HAIKU, OPUS, OPUS):
        ask("Rivers and lakes", model=model)

    rows = report()

    assert cents(rows) == {model: billed(simulator, model) * 100 for model in (HAIKU, OPUS)}
    assert {row.group.model: row.cost.requests for row in rows} == {HAIKU: 1, OPUS: 2}
    assert all(row.cost.currency == "USD" and row.starting_at == midnight(row.starting_at) for row in rows)
    assert all(row.ending_at - row.starting_at == timedelta(days=1) for row in rows)


def test_batches_are_in_the_report_and_can_be_told_apart(
    report: Report, ask: Any, client: anthropic.Anthropic, simulator: Simulator
) -> None:
    params: Any = {"model": HAIKU, "max_tokens": 100, "messages": [{"role": "user", "content": "Seas"}]}
    client.messages.batches.create(requests=[{"custom_id": "one", "params": params}])
    ask("Rivers")

    parts = report(group_by=["model", "product"])

    assert {row.group.product for row in parts} == {"messages_api", "message_batches_api"}
    assert sum(Decimal(row.cost.amount) for row in parts) == billed(simulator, HAIKU) * 100
    only_batches = report(products=["message_batches_api"])
    assert [row.cost.requests for row in only_batches] == [1]


def test_the_sdk_walks_through_all_pages(report: Report, ask: Any, simulator: Simulator) -> None:
    for model in (HAIKU, OPUS, SONNET):
        ask("Rivers", model=model)

    assert cents(report(limit=1)) == cents(report())
    assert len(report(limit=1)) == 3


@pytest.mark.parametrize(("order", "reverse"), [("asc", False), ("desc", True)])
def test_rows_are_ranked_by_amount(order: str, reverse: bool, report: Report, ask: Any, simulator: Simulator) -> None:
    for model in (OPUS, HAIKU, SONNET):
        ask("Rivers", model=model)

    amounts = [Decimal(row.cost.amount) for row in report(order=order)]

    assert amounts == sorted(amounts, reverse=reverse)


def test_without_buckets_and_groups_there_is_one_sum(report: Report, ask: Any, simulator: Simulator) -> None:
    for model in (OPUS, HAIKU):
        ask("Rivers", model=model)

    rows = report(group_by=[], time_bucket_width=None)

    assert [Decimal(row.cost.amount) for row in rows] == [Decimal(simulator.bill()["total_usd"]) * 100]


def test_another_day_is_empty(report: Report, ask: Any, simulator: Simulator) -> None:
    ask()
    long_ago = midnight() - timedelta(days=20)
    assert report(starting_at=long_ago, ending_at=long_ago + timedelta(days=1)) == []


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ({"starting_at": "yesterday"}, "starting_at"),
        ({"starting_at": "2026-11-20T00:00:00"}, "starting_at"),
        ({"starting_at": "2025-12-31T00:00:00Z"}, "starting_at"),
        ({"ending_at": None}, "ending_at"),
        ({"ending_at": datetime(2026, 1, 2, tzinfo=UTC)}, "ending_at"),
        ({"ending_at": datetime.now(UTC) + timedelta(days=60)}, "ending_at"),
        ({"time_bucket_width": "1w"}, "time_bucket_width"),
        ({"group_by": ["colour"]}, "group_by"),
        ({"group_by": ["api_key_id"]}, "group_by"),
        ({"api_key_ids": ["apikey_1"]}, "api_key_ids"),
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"page": "page_nonsense"}, "page"),
        ({"order": "up"}, "order"),
        ({"extra_query": {"colour": "red"}}, "colour"),
    ],
)
def test_what_it_does_not_understand_is_refused_by_name(params: dict[str, Any], named: str, report: Report) -> None:
    with pytest.raises(anthropic.BadRequestError, match=named):
        report(**params)


def test_only_an_admin_key_opens_the_report(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.PermissionDeniedError):
        client.beta.organization.analytics.cost.list(starting_at=midnight())


def test_a_request_without_the_beta_header_is_refused(simulator: Simulator) -> None:
    headers = {"x-api-key": "sk-ant-admin01-test", "anthropic-version": "2026-10-21"}
    address = f"{simulator.url}/v1/organizations/analytics/cost"
    answer = httpx2.get(address, headers=headers, params={"starting_at": midnight().isoformat()})
    assert answer.status_code == 400
    assert "anthropic-beta" in answer.json()["error"]["message"]


def test_a_model_can_be_left_out(report: Report, ask: Any, simulator: Simulator) -> None:
    for model in (OPUS, HAIKU):
        ask("Rivers", model=model)
    plant(simulator, kind="drop", model=OPUS)

    assert cents(report()) == {HAIKU: billed(simulator, HAIKU) * 100}


def test_something_can_be_added(report: Report, ask: Any, simulator: Simulator) -> None:
    ask("Rivers", model=HAIKU)
    plant(simulator, kind="extra", model=SONNET, usd="1.2345")

    assert cents(report()) == {HAIKU: billed(simulator, HAIKU) * 100, SONNET: Decimal("123.45")}


def test_a_price_can_be_another(report: Report, ask: Any, simulator: Simulator) -> None:
    ask("Rivers", model=HAIKU)
    plant(simulator, kind="scale", model=HAIKU, factor="1.1")

    assert cents(report()) == {HAIKU: billed(simulator, HAIKU) * 110}


def test_the_bill_itself_stays_as_it_was(ask: Any, simulator: Simulator) -> None:
    ask()
    before = simulator.bill()
    plant(simulator, kind="scale", model=HAIKU)
    assert simulator.bill() == before


@pytest.mark.parametrize("page", ["bill", "differences"])
def test_what_was_planted_is_listed_and_can_be_taken_back(page: str, simulator: Simulator) -> None:
    planted = plant(simulator, kind="extra", model=SONNET).json()
    assert planted == {"differences": [{"kind": "extra", "model": SONNET, "usd": "1"}]}

    httpx2.delete(f"{simulator.url}/_simulator/{page}")

    assert httpx2.get(f"{simulator.url}/_simulator/differences").json() == {"differences": []}


@pytest.mark.parametrize(
    "body",
    [
        {"model": HAIKU},
        {"kind": "lose", "model": HAIKU},
        {"kind": "drop"},
        {"kind": "drop", "model": HAIKU, "usd": "1"},
        {"kind": "extra", "model": HAIKU, "usd": "much"},
        {"kind": "extra", "model": HAIKU, "usd": "-1"},
        {"kind": "scale", "model": HAIKU, "factor": "NaN"},
    ],
)
def test_a_senseless_difference_is_refused(body: dict[str, Any], simulator: Simulator) -> None:
    assert plant(simulator, **body).status_code == 400
    assert simulator.state.differences.all() == []
