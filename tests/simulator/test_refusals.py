"""What is refused, and in whose words."""

from __future__ import annotations

import http.client
import json
from typing import Any

import anthropic
import pytest

from core.simulator import Simulator

from .conftest import MODEL

HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {"name": "look", "input_schema": {"type": "object", "properties": {}}}
EPHEMERAL = {"type": "ephemeral"}
CALL = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "look", "input": {}}]}


def schema(**inner: Any) -> dict[str, Any]:
    return {"format": {"type": "json_schema", "schema": inner}}


def text(value: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": value, **more}


# What every model refuses: parameters, and the beginning of the message.
MALFORMED: list[tuple[dict[str, Any], str]] = [
    ({"foo": 1}, "foo: Extra inputs are not permitted"),
    ({"messages": []}, "messages: at least one message is required"),
    ({"messages": "Hello"}, "messages: Input should be a valid list"),
    ({"messages": [{"role": "user"}]}, "messages.0.content: Field required"),
    ({"messages": [{"content": "x"}]}, "messages.0.role: Field required"),
    ({"messages": ["x"]}, "messages.0: Input should be a valid dictionary"),
    ({"messages": [{"role": "robot", "content": "x"}]}, "messages.0: Input tag 'robot' found using 'role'"),
    ({"messages": [{"role": "assistant", "content": "x"}]}, 'messages: first message must use the "user" role'),
    ({"messages": [{"role": "user", "content": "x", "name": "y"}]}, "messages.0.name: Extra inputs"),
    ({"messages": [{"role": "user", "content": ""}]}, "messages.0: user messages must have non-empty content"),
    ({"messages": [{"role": "user", "content": [text("")]}]}, "messages: text content blocks must be non-empty"),
    ({"messages": [{"role": "user", "content": [text(" ")]}]}, "messages: text content blocks must contain"),
    ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content: Input should be a valid string or list"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages.0.content.0.text.text: Field required"),
    ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages.0.content.0: Input tag 'smell'"),
    (
        {"messages": [{"role": "user", "content": [text("x", cache_control={**EPHEMERAL, "ttl": "1d"})]}]},
        "messages.0.content.0.text.cache_control.ttl: Input should be '5m' or '1h'",
    ),
    ({"messages": [*HELLO, CALL, *HELLO], "tools": [TOOL]}, "messages.1: `tool_use` ids were found without"),
    (
        {"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t9"}]}]},
        "messages.0.content: unexpected `tool_use_id` found in `tool_result` blocks: t9",
    ),
    ({"max_tokens": "10"}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": None}, "max_tokens: Input should be a valid integer"),
    ({"max_tokens": -1}, "max_tokens: Input should be greater than or equal to 0"),
    ({"max_tokens": 128_001}, "max_tokens: 128001 > 128000, which is the maximum allowed number of output tokens"),
    ({"model": 5}, "model: Input should be a valid string"),
    ({"system": 5}, "system: Input should be a valid string or list"),
    ({"system": [text("")]}, "system: text content blocks must be non-empty"),
    ({"stop_sequences": [" "]}, "stop_sequences: each stop sequence must contain non-whitespace"),
    ({"stop_sequences": "x"}, "stop_sequences: Input should be a valid list"),
    ({"metadata": {"user": "x"}}, "metadata.user: Extra inputs are not permitted"),
    ({"output_config": {"effort": "huge"}}, "output_config.effort: Input should be 'low', 'medium', 'high'"),
    ({"output_config": schema(type="object")}, "output_config.format.schema: For 'object' type, 'additionalProp"),
    ({"output_config": schema(type="integer", minimum=1)}, "output_config.format.schema: For 'integer' type, prop"),
    ({"output_config": schema(description="x")}, "output_config.format.schema: Schema must have a 'type'"),
    ({"thinking": {"type": "loud"}}, "thinking: Input tag 'loud' found using 'type'"),
    ({"tools": [{"name": "x"}]}, "tools.0.custom.input_schema: Field required"),
    ({"tools": [{"name": "x", "input_schema": {"type": "array"}}]}, "tools.0.custom.input_schema.type: Input should"),
    ({"tools": [{"type": "web_search_1", "name": "web_search"}]}, "tools.0: Input tag 'web_search_1'"),
    ({"tools": [TOOL, TOOL]}, "tools: Tool names must be unique."),
    (
        {"tools": [{"name": "x", "input_schema": {"type": "object", "properties": {"a": {"type": "text"}}}}]},
        "tools.0.custom.input_schema: JSON schema is invalid.",
    ),
    ({"output_config": schema(type="array", items={"enum": []})}, "output_config.format.schema: JSON schema is inv"),
    ({"tool_choice": {"type": "auto"}}, "tool_choice: may only be specified while providing tools"),
    ({"tool_choice": {"type": "tool", "name": "x"}, "tools": [TOOL]}, "tool_choice: Tool 'x' not found"),
    ({"system": [text(str(n), cache_control=EPHEMERAL) for n in range(5)]}, "A maximum of 4 blocks with cache_control"),
    (
        {"system": [text("a", cache_control=EPHEMERAL), text("b", cache_control={**EPHEMERAL, "ttl": "1h"})]},
        "a ttl='1h' cache_control block must not come after",
    ),
    ({"inference_geo": "moon"}, "inference_geo: 'moon' is not an allowed"),
    ({"service_tier": "batch"}, "service_tier: Input should be 'auto' or 'standard_only'"),
    ({"context_management": {}}, "context_management: Extra inputs are not permitted"),
    ({"workspace_id": "w"}, "workspace_id: Extra inputs are not permitted"),
]


@pytest.mark.parametrize(("params", "message"), MALFORMED)
def test_a_malformed_request_is_refused_in_the_words_of_the_api(ask: Any, params: dict[str, Any], message: str) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(**{"messages": HELLO, **params})
    assert caught.value.type == "invalid_request_error"
    assert caught.value.api_message is not None
    assert caught.value.api_message.startswith(message)
    assert caught.value.request_id is not None


PREFILL = {"messages": [*HELLO, {"role": "assistant", "content": "Well"}]}
FORCED = {"tools": [TOOL], "tool_choice": {"type": "any"}}
BUDGET = {"thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 2000}
TODAY = ("claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5", "claude-fable-5-2", "claude-mythos-5-2")


@pytest.mark.parametrize("model", TODAY)
@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"temperature": 0}, "`temperature` is deprecated for this model."),
        ({"top_p": 0.5}, "`top_p` is deprecated for this model."),
        ({"top_k": 5}, "`top_k` is deprecated for this model."),
        (BUDGET, '"thinking.type.enabled" is not supported for this model.'),
        (PREFILL, "This model does not support assistant message prefill."),
    ],
)
def test_todays_models_refuse_yesterdays_parameters(ask: Any, model: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(model=model, **{"messages": HELLO, **params})
    assert str(caught.value.api_message).startswith(message)


@pytest.mark.parametrize("model", TODAY[1:])
def test_forced_tools_are_refused_where_the_model_always_thinks(ask: Any, model: str) -> None:
    with pytest.raises(anthropic.BadRequestError, match='tool_choice: type "tool" and "any" are not supported'):
        ask(model=model, **FORCED)


@pytest.mark.parametrize("params", [PREFILL, FORCED, BUDGET, {"temperature": 0.5}])
def test_an_older_model_takes_them(ask: Any, params: dict[str, Any]) -> None:
    assert ask(**{"messages": HELLO, "model": "claude-haiku-4-5", **params}).content


@pytest.mark.parametrize(
    ("model", "params", "message"),
    [
        ("claude-haiku-4-5", {"output_config": {"effort": "low"}}, "This model does not support the effort parameter."),
        ("claude-opus-4-5", {"output_config": {"effort": "max"}}, "This model does not support effort level 'max'."),
        ("claude-opus-5-5", {"thinking": {"type": "disabled"}}, '"thinking.type.disabled" is not supported'),
        ("claude-haiku-4-5", {"thinking": {"type": "adaptive"}}, '"thinking.type.adaptive" is not supported'),
        ("claude-haiku-4-5", {**BUDGET, "max_tokens": 1024}, "`max_tokens` must be greater than"),
        ("claude-haiku-4-5", {"max_tokens": 64_001}, "max_tokens: 64001 > 64000"),
        ("claude-haiku-5-5", {"speed": "fast"}, "speed: 'fast' is not supported for this model."),
        ("claude-haiku-4-5", {"inference_geo": "us"}, "inference_geo: not supported for this model."),
        ("claude-haiku-4-5", {"temperature": 2}, "temperature: "),
    ],
)
def test_each_model_has_its_own_limits(ask: Any, model: str, params: dict[str, Any], message: str) -> None:
    with pytest.raises(anthropic.BadRequestError) as caught:
        ask(**{"messages": HELLO, "model": model, **params})
    assert str(caught.value.api_message).startswith(message)


def test_a_prompt_over_the_context_window_is_too_long(ask: Any) -> None:
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: \d+ tokens > 200000 maximum"):
        ask("word " * 200_001, model="claude-haiku-4-5")


@pytest.mark.parametrize(
    "model", ["claude-sonnet-4-20250514", "claude-opus-4-20250514", "claude-haiku-4-20250514", "gpt"]
)
def test_retired_and_unknown_models_are_not_found(ask: Any, model: str) -> None:
    with pytest.raises(anthropic.NotFoundError) as caught:
        ask(model=model)
    assert caught.value.type == "not_found_error"
    assert caught.value.api_message == f"model: {model}"


def test_nothing_refused_is_billed(ask: Any, simulator: Simulator) -> None:
    with pytest.raises(anthropic.BadRequestError):
        ask(temperature=1)
    assert simulator.bill() == {"entries": [], "total_usd": "0", "unseen_usd": "0"}


def test_a_key_is_needed_and_must_be_good(simulator: Simulator) -> None:
    client = anthropic.Anthropic(api_key="sk-invalid-1", base_url=simulator.url)
    with client, pytest.raises(anthropic.AuthenticationError) as caught:
        client.models.list()
    assert caught.value.type == "authentication_error"
    assert caught.value.api_message == "invalid x-api-key"


def raw(
    simulator: Simulator, method: str, path: str, body: bytes | str | None = None, **headers: str
) -> tuple[int, Any, http.client.HTTPMessage]:
    """A request that the SDK would not send."""
    connection = http.client.HTTPConnection(simulator.url.removeprefix("http://"), timeout=10)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, names)
    response = connection.getresponse()
    answer = response.status, json.loads(response.read()), response.headers
    connection.close()
    return answer


AUTH = {"x_api_key": "k", "anthropic_version": "2023-06-01"}


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "kind"),
    [
        ("GET", "/v1/models", None, {"anthropic_version": "2023-06-01"}, 401, "authentication_error"),
        ("GET", "/v1/models", None, {"x_api_key": "k"}, 400, "invalid_request_error"),
        ("GET", "/v1/models", None, {**AUTH, "x_api_key": "", "authorization": "Basic x"}, 401, "authentication_error"),
        ("POST", "/v1/messages", "{", AUTH, 400, "invalid_request_error"),
        ("POST", "/v1/messages", b"\xff", AUTH, 400, "invalid_request_error"),
        ("POST", "/v1/messages", '{"model": "\\ud800"}', AUTH, 400, "invalid_request_error"),
        ("POST", "/v1/messages", '{"max_tokens": NaN}', AUTH, 400, "invalid_request_error"),
        ("POST", "/v1/messages", "[" * 100_000, AUTH, 400, "invalid_request_error"),
        ("POST", "/v1/messages", "[]", AUTH, 400, "invalid_request_error"),
        ("GET", "/v1/messages", None, AUTH, 405, "invalid_request_error"),
        ("GET", "/v1/nothing", None, AUTH, 404, "not_found_error"),
        ("GET", "/", None, AUTH, 404, "not_found_error"),
        ("POST", "/v1/messages", b"x" * (32 * 1024 * 1024 + 1), AUTH, 413, "request_too_large"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_http_itself_is_checked(
    simulator: Simulator, method: str, path: str, body: Any, headers: Any, status: int, kind: str
) -> None:
    answered, error, received = raw(simulator, method, path, body, **headers)
    assert (answered, error["type"], error["error"]["type"]) == (status, "error", kind)
    assert error["request_id"] == received["request-id"]


@pytest.mark.parametrize("headers", [AUTH, {**AUTH, "x_api_key": "", "authorization": "Bearer k"}])
def test_the_key_may_come_in_either_header(simulator: Simulator, headers: dict[str, str]) -> None:
    body = json.dumps({"model": MODEL, "max_tokens": 5, "messages": HELLO})
    assert raw(simulator, "POST", "/v1/messages", body, **headers)[0] == 200
