"""Does a program get from the gateway what it gets from Claude?"""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any

import anthropic
import httpx2
import pytest
from django.test import Client

from core.models import Batch, Budget, Call, ClaudeModel, CostRecord, ModelAlias, Prompt, Reservation
from core.simulator.server import Simulator
from tests.gateway.conftest import MODEL, Program, Server, question, until

live = pytest.mark.django_db(transaction=True)

PICTURE = "iVBORw0KGgo" * 4
REQUESTS: dict[str, dict[str, Any]] = {
    "text": {},
    "system and stop": {"system": "You are a clerk.", "stop_sequences": ["Regards"]},
    "tools": {
        "messages": [{"role": "user", "content": "[[simulate: tool=weather]] How is the weather in Rome?"}],
        "tools": [{"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}],
    },
    "thinking": {"thinking": {"type": "adaptive"}},
    "structured": {
        "output_config": {
            "format": {
                "type": "json_schema",
                "schema": {
                    "type": "object",
                    "properties": {"due": {"type": "string"}},
                    "required": ["due"],
                    "additionalProperties": False,
                },
            }
        }
    },
    "image": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}},
                    {"type": "text", "text": "What is this?"},
                ],
            }
        ]
    },
    "cached": {"system": [{"type": "text", "text": "Long. " * 3000, "cache_control": {"type": "ephemeral"}}]},
    "refusal": {"messages": [{"role": "user", "content": "[[simulate: refusal]] Say it."}]},
}  # fmt: skip


def without_ids(message: dict[str, Any]) -> dict[str, Any]:
    """A message but for what differs between any two: its id, and those of its tool uses and thoughts."""
    blocks = [{k: v for k, v in block.items() if k not in {"id", "signature"}} for block in message["content"]]
    return {**{k: v for k, v in message.items() if k != "id"}, "content": blocks}


def raw(url: str, secret: str, body: dict[str, Any], **headers: str) -> httpx2.Response:
    sent = {"x-api-key": secret, "anthropic-version": "2026-10-21", **headers}
    return httpx2.post(f"{url}/v1/messages", json=body, headers=sent, timeout=20)


@live
@pytest.mark.parametrize("name", REQUESTS)
def test_json_is_what_claude_answers_but_for_ids(
    api: Server, simulated: Simulator, program: Program, name: str
) -> None:
    body = question(**REQUESTS[name])

    direct = raw(simulated.url, "sk-direct", body)
    simulated.state.clear()
    through = raw(api.url, program.secret, body)

    assert through.status_code == direct.status_code == 200, through.text
    assert without_ids(through.json()) == without_ids(direct.json())
    assert list(through.json()) == list(direct.json())
    call = program.last_call()
    assert through.headers["x-claudeapp-call"] == str(call.pk)
    assert through.headers["request-id"] == call.request_id
    assert Decimal(through.headers["x-claudeapp-cost-usd"]) == call.cost == Decimal(simulated.bill()["total_usd"])


@live
@pytest.mark.parametrize("name", REQUESTS)
def test_a_stream_is_what_claude_streams_but_for_ids(
    server: Server, simulated: Simulator, program: Program, name: str
) -> None:
    body = question(**REQUESTS[name], stream=True)

    direct = raw(simulated.url, "sk-direct", body)
    simulated.state.clear()
    through = raw(server.url, program.secret, body)

    assert through.status_code == direct.status_code == 200, through.text
    assert events(through.text) == events(direct.text)
    assert through.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert through.headers["x-accel-buffering"] == "no"
    call = program.last_call()
    until(lambda: Call.objects.get(pk=call.pk).finished, "the settlement")
    assert CostRecord.objects.get(call=call).amount == Decimal(simulated.bill()["total_usd"])


def events(text: str) -> list[tuple[str, Any]]:
    """The stream's events without ids."""
    found = []
    for part in text.strip().split("\n\n"):
        name, data = part.split("\n", 1)
        parsed = json.loads(data.removeprefix("data: "))
        for holder in (parsed.get("message", {}), parsed.get("content_block", {}), parsed.get("delta", {})):
            holder.pop("id", None)
            holder.pop("signature", None)
        found.append((name, parsed))
    return found


def words(message: Any) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@live
def test_the_official_sdk_needs_two_settings_changed(server: Server, simulated: Simulator, program: Program) -> None:
    sdk = program.sdk(server.url)

    answer = sdk.messages.create(**question())
    with sdk.messages.stream(**question()) as stream:
        streamed = stream.get_final_message()
    beta = sdk.beta.messages.create(**question(), betas=["context-management-2025-06-27"])
    tokens = sdk.messages.count_tokens(model=MODEL, messages=[{"role": "user", "content": "How many?"}])
    models = [model.id for model in sdk.models.list()]

    assert [block.type for block in answer.content] == [block.type for block in streamed.content]
    assert words(answer) == words(streamed) == words(beta) != ""
    assert tokens.input_tokens > 0
    assert MODEL in models
    assert sdk.models.retrieve(MODEL).id == MODEL
    assert CostRecord.objects.count() == 3


@live
def test_the_asynchronous_sdk_works_too(server: Server, simulated: Simulator, program: Program) -> None:
    async def ask() -> tuple[str, str]:
        async with anthropic.AsyncAnthropic(base_url=server.url, api_key=program.secret, max_retries=0) as sdk:
            answers = await asyncio.gather(*(sdk.messages.create(**question()) for _ in range(3)))
            async with sdk.messages.stream(**question()) as stream:
                return words(answers[2]), words(await stream.get_final_message())

    whole, streamed = asyncio.run(ask())

    assert whole == streamed
    assert CostRecord.objects.count() == 4


@live
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (403, anthropic.PermissionDeniedError),
        (404, anthropic.NotFoundError),
        (413, anthropic.RequestTooLargeError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.OverloadedError),
    ],
)
def test_claudes_errors_arrive_as_they_are(
    api: Server,
    simulated: Simulator,
    program: Program,
    status: int,
    kind: type[anthropic.APIStatusError],
    streamed: bool,
) -> None:
    Budget.objects.create(name="All", scope=Budget.Scope.ORGANISATION, amount=100, owner=program.key.user)
    program.key.attempts = 1
    program.key.save()
    body = question(f"[[simulate: status={status}]] Hello", stream=streamed)

    with pytest.raises(kind) as through:
        program.sdk(api.url).messages.create(**body)
    with pytest.raises(kind) as direct:
        program.sdk(simulated.url, api_key="sk-direct").messages.create(**body)

    assert through.value.api_message == direct.value.api_message
    assert through.value.response.headers.get("retry-after") == direct.value.response.headers.get("retry-after")
    assert str(through.value.request_id).startswith("req_")
    assert not CostRecord.objects.exists()
    assert not Reservation.objects.filter(released_at=None).exists()


@live
@pytest.mark.parametrize("directive", ["cut after=2", "error-event=overloaded_error after=2", "drop after=2"])
def test_a_stream_that_breaks_tells_so_and_keeps_its_part(
    server: Server, simulated: Simulator, program: Program, directive: str
) -> None:
    text = f"[[simulate: {directive}]] [[simulate: long tokens=200]] Tell me."

    answer = raw(server.url, program.secret, question(text, stream=True))

    name, last = events(answer.text)[-1]
    assert (answer.status_code, name) == (200, "event: error")
    assert last["error"]["type"] in {"api_error", "overloaded_error"}
    call = program.last_call()
    until(lambda: Call.objects.get(pk=call.pk).finished, "the settlement")
    call.refresh_from_db()
    assert call.status in {Call.Status.DEAD, Call.Status.FAILED}
    assert call.text


def test_what_is_no_request_is_refused_and_not_recorded(client: Client, simulated: Simulator, program: Program) -> None:
    bad: dict[bytes, int] = {
        b"": 400,
        b"no json": 400,
        b"[]": 400,
        b'"text"': 400,
        b"{}": 400,
        b'{"model": "m"}': 400,
        b'{"model": 7, "max_tokens": 5}': 400,
        b'{"model": "m", "max_tokens": "5"}': 400,
        b'{"model": "m", "max_tokens": -1}': 400,
        b'{"model": "m", "max_tokens": true}': 400,
        b'{"model": "m", "max_tokens": 5, "stream": "yes"}': 400,
        b'{"model": "m", "max_tokens": 5, "x": NaN}': 400,
        b'{"model": "m", "max_tokens": 5, "x": 1e999}': 400,
        b'{"model": "m", "max_tokens": 5, "x": "\\ud800"}': 400,
        b"\xff\xfe{": 400,
        b'{"model": "m", "max_tokens": 5, "x": "\xed\xa0\x80"}': 400,
        '{"model": "m", "max_tokens": 5, "x": "\\ud800"}'.encode("utf-16"): 400,
        b'{"model": "m", "max_tokens": 1' + b"0" * 18 + b"}": 400,
        b'{"model": "m", "max_tokens": 1' + b"0" * 300 + b"}": 400,
        b'{"model": "m", "max_tokens": 5, "x": ' + b"[" * 300 + b"]" * 300 + b"}": 400,
        b"[" * 100_000: 400,
        b'{"model": "m\\u0000", "max_tokens": 5, "messages": []}': 404,
        b'{"model": "' + b"m" * 5000 + b'", "max_tokens": 5, "messages": []}': 404,
        b'{"model": "nobody-knows", "max_tokens": 5, "messages": []}': 404,
        b" " * (32 * 1024 * 1024 + 1): 413,
    }
    for body, status in bad.items():
        answer = client.post("/v1/messages", body, content_type="application/json", headers=program.headers())
        assert answer.status_code == status, body[:80]
        assert answer.json()["type"] == "error"
        assert answer.json()["request_id"] == answer.headers["request-id"]
    assert not Call.objects.exists()


def test_unknown_paths_and_wrong_methods_are_told_in_the_apis_shape(client: Client, db: None) -> None:
    for path in ("/v1", "/v1/", "/v1/nothing", "/v1/messages/", "/v1/complete"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error"), path
    answer = client.get("/v1/messages")
    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST")
    assert answer.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", [".", "..", "%2e%2e", "../organizations", "a%2F..%2F.."])
def test_a_models_name_leads_to_no_other_address_at_claude(client: Client, program: Program, path: str) -> None:
    """Nobody is asked: the simulator, which the test does not start, would have to answer."""
    answer = client.get(f"/v1/models/{path}", headers=program.headers())

    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", question()),
        ("/v1/messages/batches", {"requests": [{"custom_id": "a", "params": question()}]}),
        ("/api/calls", {"text": "Hello."}),
    ],
)
def test_under_a_foreign_name_of_the_host_nothing_is_begun(
    client: Client, program: Program, simulated: Simulator, path: str, body: dict[str, Any]
) -> None:
    """The answer would have to name an address here, and there is none."""
    headers = program.headers(host="evil.example")
    answer = client.post(path, body, content_type="application/json", headers=headers)

    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert not Call.objects.exists()
    assert not Batch.objects.exists()


def test_whoever_has_no_good_key_learns_nothing_else(client: Client, program: Program, simulated: Simulator) -> None:
    def ask(**headers: str) -> tuple[int, Any]:
        answer = client.post("/v1/messages", question(), content_type="application/json", headers=headers)
        return answer.status_code, answer.json()["error"]

    program.key.revoke()
    refusals = [
        ask(),
        ask(**{"x-api-key": "ca-wrong"}),
        ask(authorization="Bearer "),
        ask(authorization="Basic abc"),
        ask(**{"x-api-key": program.secret}),
        ask(authorization=f"Bearer {program.secret}"),
    ]

    assert all(refusal == refusals[0] for refusal in refusals)
    assert refusals[0] == (401, {"type": "authentication_error", "message": "invalid x-api-key"})
    assert not Call.objects.exists()


def test_a_key_is_held_to_its_models(client: Client, program: Program, simulated: Simulator) -> None:
    program.key.models_allowed.add(ClaudeModel.objects.get(pk="claude-sonnet-5-5"))

    answer = client.post("/v1/messages", question(), content_type="application/json", headers=program.headers())

    assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error")
    assert not Call.objects.exists()


def test_a_key_for_certain_prompts_sends_no_request_of_its_own(
    client: Client, program: Program, prompt: Prompt, simulated: Simulator
) -> None:
    program.key.prompts_allowed.add(prompt)

    for address in ("/v1/messages", "/v1/messages/count_tokens"):
        answer = client.post(address, question(), content_type="application/json", headers=program.headers())

        assert (answer.status_code, answer.json()["error"]["type"]) == (403, "permission_error")
    assert not Call.objects.exists()


def test_over_budget_is_402_with_the_sum(client: Client, program: Program, simulated: Simulator) -> None:
    Budget.objects.create(
        name="Little", scope=Budget.Scope.KEY, key=program.key, amount="0.00001", owner=program.key.user
    )

    answer = client.post("/v1/messages", question(), content_type="application/json", headers=program.headers())

    assert (answer.status_code, answer.json()["error"]["type"]) == (402, "billing_error")
    assert "0.0000" in answer.json()["error"]["message"]
    assert simulated.bill()["entries"] == []
    assert not Call.objects.exists()


def test_cookies_and_sessions_are_not_touched(client: Client, program: Program, simulated: Simulator) -> None:
    answer = client.post("/v1/messages", question(), content_type="application/json", headers=program.headers())

    assert answer.status_code == 200
    assert not answer.cookies
    assert int(answer.headers["content-length"]) == len(answer.content)
    allowed = {
        "content-type",
        "content-length",
        "request-id",
        "x-claudeapp-call",
        "x-claudeapp-cost-usd",
        "retry-after",
    }
    assert {name.lower() for name in answer.headers if not name.lower().startswith("anthropic-")} <= allowed


def test_nul_and_bulk_do_not_reach_the_database(client: Client, program: Program, simulated: Simulator) -> None:
    picture = "iVBORw0KGgo=" * 2000
    source = {"type": "base64", "media_type": "image/png", "data": picture}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "What\x00is this?"}]

    answer = client.post("/v1/messages", question(content), content_type="application/json", headers=program.headers())  # type: ignore[arg-type]

    assert answer.status_code == 200, answer.json()
    image, text = program.last_call().request["messages"][0]["content"]
    assert image["source"]["data"]["omitted"] == len(picture) * 3 // 4 - 1
    assert text["text"] == "What\ufffdis this?"


def test_tokens_are_counted_for_a_name_that_is_no_model(client: Client, program: Program, simulated: Simulator) -> None:
    def count(model: str) -> tuple[int, Any]:
        body = {"model": model, "messages": [{"role": "user", "content": "How many tokens?"}]}
        headers = program.headers()
        answer = client.post("/v1/messages/count_tokens", body, content_type="application/json", headers=headers)
        return answer.status_code, answer.json()

    ModelAlias.objects.create(name="small", model=ClaudeModel.objects.get(pk=MODEL))

    assert count("small") == count(MODEL)
    assert count("small")[0] == 200
    assert count("nobody-knows")[0] == 404
    assert not Call.objects.exists()
