"""Is a report that says something unexpected refused, and nothing of it taken for dollars?"""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from pytest_django import Settings

from core.claude.errors import ClaudeError
from core.claude.organisation import NO_MODEL, reported_costs

DAY = dt.date(2026, 11, 20)
HAIKU = "claude-haiku-5-5"


class Provider(HTTPServer):
    """Answers each request with the next of `pages`, and remembers what was asked."""

    pages: list[dict[str, Any]]
    asked: list[tuple[str, dict[str, list[str]], str]]


class Handler(BaseHTTPRequestHandler):
    server: Provider

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.server.asked.append((parts.path, parse_qs(parts.query), self.headers.get("Authorization", "")))
        body = json.dumps(self.server.pages.pop(0)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Tests say what matters."""


@pytest.fixture
def provider(settings: Settings) -> Iterator[Provider]:
    server = Provider(("127.0.0.1", 0), Handler)
    server.pages, server.asked = [], []
    settings.ANTHROPIC_BASE_URL = f"http://127.0.0.1:{server.server_address[1]}"
    settings.ANTHROPIC_ADMIN_KEY = "sk-ant-admin01-test"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def row() -> Callable[..., dict[str, Any]]:
    def make(amount: str, model: str | None = HAIKU, currency: str = "USD") -> dict[str, Any]:
        cost = {"amount": amount, "currency": currency, "list_amount": "999", "requests": 1}
        bounds = {"starting_at": "2026-11-20T00:00:00Z", "ending_at": "2026-11-21T00:00:00Z"}
        return {"cost": cost, "group": {"model": model}, **bounds}

    return make


def test_one_day_of_the_api_is_asked_for_with_the_admin_key(provider: Provider) -> None:
    provider.pages = [{"data": [], "has_more": False, "next_page": None}]

    assert reported_costs(DAY) == {}

    ((path, query, credential),) = provider.asked
    assert path == "/v1/organizations/analytics/cost"
    assert credential == "Bearer sk-ant-admin01-test"
    assert [dt.datetime.fromisoformat(query[name][0]) for name in ("starting_at", "ending_at")] == [
        dt.datetime(2026, 11, 20, tzinfo=dt.UTC),
        dt.datetime(2026, 11, 21, tzinfo=dt.UTC),
    ]
    assert (query["time_bucket_width"], query["group_by[]"]) == (["1d"], ["model"])
    assert query["products[]"] == ["messages_api", "message_batches_api"]
    assert "api_key_ids[]" not in query


def test_the_report_can_be_that_of_this_installations_keys_alone(provider: Provider, settings: Settings) -> None:
    provider.pages = [{"data": [], "has_more": False, "next_page": None}]
    settings.RECONCILE_API_KEY_IDS = ["apikey_1", "apikey_2"]

    reported_costs(DAY)

    assert provider.asked[0][1]["api_key_ids[]"] == ["apikey_1", "apikey_2"]


def test_cents_of_all_pages_become_dollars_after_discounts(provider: Provider, row: Callable[..., Any]) -> None:
    provider.pages = [
        {"data": [row("123.78912"), row("0.00000001")], "has_more": True, "next_page": "page_2"},
        {"data": [row("1"), row("250", None)], "has_more": False, "next_page": None},
    ]

    assert reported_costs(DAY) == {HAIKU: Decimal("1.2478912001"), NO_MODEL: Decimal("2.5")}
    assert provider.asked[1][1]["page"] == ["page_2"]


@pytest.mark.parametrize(("amount", "currency"), [("1", "EUR"), ("much", "USD"), ("NaN", "USD"), ("Infinity", "USD")])
def test_what_is_no_amount_of_dollars_stops_the_comparison(
    amount: str, currency: str, provider: Provider, row: Callable[..., Any]
) -> None:
    provider.pages = [{"data": [row("1"), row(amount, currency=currency)], "has_more": False, "next_page": None}]

    with pytest.raises(ClaudeError, match="unexpected_report"):
        reported_costs(DAY)
