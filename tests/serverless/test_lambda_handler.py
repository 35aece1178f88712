"""Does the function answer each kind of event that AWS sends, and one that is no HTTP request?

The events have the fields that each of them is documented with, and a request of ours in them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings

from claudeapp.lambda_handler import handler
from core.intake.keys import make_key
from core.models import Call, CostRecord, User
from core.simulator.server import Simulator

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("one_transaction")]

EVENTS = Path(__file__).parent / "events"
OVER_HTTP = ["rest_api", "http_api", "function_url", "load_balancer", "load_balancer_multi_value"]

Event = dict[str, Any]


@pytest.fixture(autouse=True)
def _as_in_production(settings: LazySettings) -> None:
    settings.ALLOWED_HOSTS = [".amazonaws.com", ".on.aws"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.SECURE_SSL_REDIRECT = True


@pytest.fixture
def secret(member: User, catalogue: None, simulator: Simulator) -> str:
    return make_key("A function", member, by=None)[1]


@pytest.fixture
def event(secret: str) -> Callable[[str], Event]:
    """The event of this name, with a key that opens the door."""

    def read(name: str) -> Event:
        found: Event = json.loads((EVENTS / f"{name}.json").read_text().replace("KEY", secret))
        return found

    return read


def body_of(answer: dict[str, Any]) -> Any:
    assert answer["isBase64Encoded"] is False
    return json.loads(answer["body"])


def headers_of(answer: dict[str, Any]) -> dict[str, str]:
    given = answer.get("headers") or {name: values[-1] for name, values in answer["multiValueHeaders"].items()}
    return {name.lower(): value for name, value in given.items()}


@pytest.mark.parametrize("name", OVER_HTTP)
def test_each_kind_of_event_is_answered(event: Callable[[str], Event], name: str) -> None:
    answer = handler(event(name), None)

    assert answer["statusCode"] == 200, answer
    call = Call.objects.get()
    assert body_of(answer)["text"] == call.text != ""
    assert headers_of(answer)["content-type"].startswith("application/json")
    assert headers_of(answer)["x-claudeapp-call"] == str(call.pk)
    assert Decimal(body_of(answer)["cost_usd"]) == CostRecord.objects.get().amount


@pytest.mark.parametrize("name", OVER_HTTP)
def test_an_event_without_a_key_is_refused(name: str, db: None) -> None:
    answer = handler(json.loads((EVENTS / f"{name}.json").read_text()), None)

    assert (answer["statusCode"], body_of(answer)["error"]["type"]) == (401, "authentication_error")


@pytest.mark.parametrize("name", ["rest_api", "http_api", "function_url", "load_balancer"])
def test_the_pages_are_served_too(event: Callable[[str], Event], name: str) -> None:
    page = event(name)
    if name in {"rest_api", "load_balancer"}:
        page |= {"httpMethod": "GET", "path": "/login/", "body": None}
    else:
        prefix = "/staging" if name == "http_api" else ""
        page |= {"rawPath": f"{prefix}/login/", "body": None}
        page["requestContext"]["http"]["method"] = "GET"
    answer = handler(page, None)

    assert answer["statusCode"] == 200
    assert "<title>Sign in" in answer["body"]


def test_a_query_arrives(event: Callable[[str], Event]) -> None:
    listed = event("rest_api") | {
        "httpMethod": "GET",
        "path": "/api/calls",
        "body": None,
        "multiValueQueryStringParameters": {"limit": ["0"]},
    }
    assert body_of(handler(listed, None))["error"]["message"].startswith("limit: ")


@pytest.mark.parametrize("header", ["x-api-key", "X-Api-Key", "Authorization"])
def test_a_bare_event_is_a_chat_with_the_key_of_its_headers(
    event: Callable[[str], Event], secret: str, header: str
) -> None:
    sent = f"Bearer {secret}" if header == "Authorization" else secret
    answer = handler(event("bare") | {"headers": {header: sent}}, None)

    assert set(answer) >= {"statusCode", "headers", "body"}
    assert answer["statusCode"] == 200
    assert body_of(answer)["text"] == Call.objects.get().text != ""


def test_a_bare_event_without_headers_has_the_functions_own_key(
    event: Callable[[str], Event], secret: str, settings: LazySettings
) -> None:
    assert handler(event("bare"), None)["statusCode"] == 401
    settings.LAMBDA_KEY = secret

    assert handler(event("bare"), None)["statusCode"] == 200
    assert Call.objects.count() == 1


def test_the_functions_own_key_is_for_bare_events_only(secret: str, settings: LazySettings) -> None:
    settings.LAMBDA_KEY = secret
    stranger = json.loads((EVENTS / "rest_api.json").read_text().replace('"x-api-key"', '"x-other"'))

    assert handler(stranger, None)["statusCode"] == 401


def test_a_bare_event_with_a_wrong_key_is_not_helped_by_the_functions_own(
    event: Callable[[str], Event], secret: str, settings: LazySettings
) -> None:
    settings.LAMBDA_KEY = secret

    assert handler(event("bare") | {"headers": {"x-api-key": "wrong"}}, None)["statusCode"] == 401


@pytest.mark.parametrize("body", [{"prompt": "Hello.", "model": "claude-haiku-5-5"}, None, "{", "[]", '{"text": "x"}'])
def test_a_bare_events_body_is_read_as_it_is_given(secret: str, settings: LazySettings, body: Any) -> None:
    settings.LAMBDA_KEY = secret
    answer = handler({"body": body}, None)

    assert answer["statusCode"] == (200 if isinstance(body, dict) else 400)
    if answer["statusCode"] == 400:
        assert body_of(answer)["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "nonsense",
    [
        {},
        {"requestContext": None},
        {"requestContext": {}},
        {"version": "2.0", "requestContext": {}},
        {"version": "9", "requestContext": {}, "httpMethod": "GET", "path": "/"},
        {"httpMethod": "GET", "path": None},
        {"body": "x", "isBase64Encoded": True},
        {"body": "\ud800"},
        {"headers": 5},
    ],
)
def test_an_event_that_makes_no_sense_is_a_400(db: None, settings: LazySettings, nonsense: Event) -> None:
    settings.LAMBDA_KEY = "ca-unknown"
    answer = handler(nonsense, None)

    assert answer["statusCode"] in {400, 401}
    assert body_of(answer)["type"] == "error"


def test_a_consoles_test_event_without_headers_comes_to_the_address_that_it_names(
    event: Callable[[str], Event],
) -> None:
    for headers in ({"headers": None, "multiValueHeaders": None}, {"multiValueHeaders": {"accept": ["*/*"]}}):
        # Nothing says that it came by https, but it came to a host that is allowed.
        assert handler(event("rest_api") | headers, None)["statusCode"] == 403
