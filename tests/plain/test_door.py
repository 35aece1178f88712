"""What does the plain API say to whoever comes without a key, by a wrong way, or to look?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from core.intake import keys
from core.models import Call, Prompt, User
from tests.plain.conftest import Script

pytestmark = pytest.mark.django_db

ADDRESSES = [
    ("POST", "/api/chat"),
    ("POST", "/api/calls"),
    ("GET", "/api/calls"),
    ("GET", "/api/calls/0b0f9f4e-4f0d-4b0e-8a43-6a31a5a0a001"),
    ("DELETE", "/api/calls/0b0f9f4e-4f0d-4b0e-8a43-6a31a5a0a001"),
    ("GET", "/api/calls/0b0f9f4e-4f0d-4b0e-8a43-6a31a5a0a001/events"),
    ("GET", "/api/prompts"),
    ("POST", "/api/bulk"),
    ("GET", "/api/bulk"),
    ("GET", "/api/bulk/bulk_nobodys"),
    ("DELETE", "/api/bulk/bulk_nobodys"),
    ("GET", "/api/bulk/bulk_nobodys/results"),
]


@pytest.mark.parametrize(("method", "path"), ADDRESSES)
def test_nothing_opens_without_a_key(script: Script, method: str, path: str) -> None:
    answers = [
        script.send(method, path, b"", authorization=sent)
        for sent in ("", "Bearer ", "Bearer ca-wrong", f"Basic {script.secret}", script.secret)
    ]
    assert {(answer.status, answer.error, answer.message) for answer in answers} == {
        (401, "authentication_error", "invalid x-api-key")
    }


def test_nobody_reads_a_large_body_of_who_has_no_key(script: Script) -> None:
    body = b" " * (9 * 1024 * 1024)
    answers = [
        Client().post("/api/chat", body, content_type="application/json", headers=headers)
        for headers in ({"x-api-key": "ca-none"}, {"x-api-key": script.secret})
    ]

    assert [answer.status_code for answer in answers] == [401, 413]


def test_a_key_that_has_ended_opens_nothing(scripts: Callable[..., Script], member: User) -> None:
    revoked = scripts(member)
    keys.revoke(revoked.key)
    expired = scripts(member, expires_at=timezone.now() - dt.timedelta(seconds=1))

    for script in (revoked, expired):
        answer = script.get("/api/prompts")
        assert (answer.status, answer.error, answer.message) == (401, "authentication_error", "invalid x-api-key")


def test_a_login_in_the_browser_is_no_key(member: User, catalogue: None) -> None:
    client = Client()
    client.force_login(member)

    assert client.get("/api/prompts").status_code == 401
    assert client.post("/api/chat", {"prompt": "Hello."}, content_type="application/json").status_code == 401
    assert not Call.objects.exists()


@pytest.mark.parametrize("path", ["/api/none", "/api/calls/", "/api/calls/17", "/api/chat/x", "/api/calls/%00"])
def test_unknown_addresses_are_404_in_the_apis_shape(script: Script, path: str) -> None:
    answer = script.get(path)

    assert (answer.status, answer.error) == (404, "not_found_error")


@pytest.mark.parametrize(
    ("method", "path", "allowed"), [("GET", "/api/chat", "POST"), ("PUT", "/api/calls", "GET, POST")]
)
def test_a_wrong_method_is_405_in_the_apis_shape(script: Script, method: str, path: str, allowed: str) -> None:
    answer = script.send(method, path, b"{}")

    assert (answer.status, answer.error) == (405, "invalid_request_error")
    assert sorted(answer.headers["allow"].split(", ")) == allowed.split(", ")


def test_the_description_is_open_to_all_and_names_every_address(db: None) -> None:
    schema = Client().get("/api/openapi.json").json()

    named = {(method.upper(), path) for path, methods in schema["paths"].items() for method in methods}
    assert named == {
        (
            method,
            path.replace("0b0f9f4e-4f0d-4b0e-8a43-6a31a5a0a001", "{call_id}").replace("bulk_nobodys", "{bulk_id}"),
        )
        for method, path in ADDRESSES
    }
    assert set(schema["components"]["securitySchemes"]) == {"BearerKey", "HeaderKey"}
    for methods in schema["paths"].values():
        for operation in methods.values():
            assert operation["security"] == [{"BearerKey": []}, {"HeaderKey": []}]
            assert operation["responses"]["4XX"]["content"]["application/json"]["schema"]["$ref"].endswith("/Fault")


def test_what_is_described_as_an_example_is_accepted(script: Script, prompt: Prompt, ready_made: None) -> None:
    schema = Client().get("/api/openapi.json").json()

    for example in schema["components"]["schemas"]["NewCall"]["examples"]:
        assert script.post("/api/calls", example).status == 202, example


def test_the_page_about_it_runs_nothing_that_our_policy_forbids(db: None) -> None:
    response = Client().get("/api/docs")

    page = response.content.decode()
    assert response.status_code == 200
    assert 'data-openapi="/api/openapi.json"' in page
    assert "<script>" not in page
    assert "https://" not in page
    assert "unsafe" not in response.headers["Content-Security-Policy"]


def test_the_apis_own_address_leads_to_the_page_about_it(db: None) -> None:
    assert Client().get("/api/").headers["Location"] == "/api/docs"
