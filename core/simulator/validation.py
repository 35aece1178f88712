"""Is this request one that the real API would take, and if not, what does it say?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Literal

from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_count_tokens_params as beta_count_params
from anthropic.types.beta import message_create_params as beta_create_params
from pydantic import TypeAdapter, ValidationError

from core.simulator.catalogue import Model, callable_model
from core.simulator.errors import invalid
from core.simulator.rules import check_content, check_model_rules
from core.simulator.strict_types import MARK, strict

Kind = Literal["create", "stream", "count"]

PARAMS: Mapping[tuple[Kind, bool], Any] = {
    ("create", False): message_create_params.MessageCreateParamsNonStreaming,
    ("stream", False): message_create_params.MessageCreateParamsStreaming,
    ("count", False): message_count_tokens_params.MessageCountTokensParams,
    ("create", True): beta_create_params.MessageCreateParamsNonStreaming,
    ("stream", True): beta_create_params.MessageCreateParamsStreaming,
    ("count", True): beta_count_params.MessageCountTokensParams,
}

# The SDK's types list these with the body, but sends them as headers (anthropic-beta, anthropic-workspace-id).
SENT_AS_HEADERS = ("betas", "anthropic-beta", "workspace_id")
SAMPLING = ("temperature", "top_p", "top_k")


def check_request(body: object, kind: Kind, beta: bool) -> tuple[dict[str, Any], Model]:
    """The parameters and their model; raises the real API's 400 or 404 for what it refuses."""
    if not isinstance(body, dict):
        raise invalid("Input should be a valid dictionary or object to extract fields from")
    params: dict[str, Any] = dict(body)
    model = _known_model(params)
    if model:
        _refuse_sampling(params, model)
    if kind == "create" and params.get("stream") is True:
        kind = "stream"
    _check_types(params, kind, beta)
    model = model or callable_model(params["model"])
    check_content(params)
    check_model_rules(params, model)
    return params, model


def _known_model(params: Mapping[str, Any]) -> Model | None:
    name = params.get("model")
    return callable_model(name) if isinstance(name, str) and name else None


def _refuse_sampling(params: dict[str, Any], model: Model) -> None:
    """Sampling left the SDK's signatures; only old models still take it, all others say so in words of their own."""
    for name in SAMPLING:
        value = params.get(name)
        if value is None:
            continue
        if not model.sampling:
            raise invalid(f"`{name}` is deprecated for this model.")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise invalid(f"{name}: Input should be a valid number")
        if not 0 <= value <= (1 if name != "top_k" else float("inf")):
            raise invalid(f"{name}: range: 0..1")
        del params[name]


def _check_types(params: Mapping[str, Any], kind: Kind, beta: bool) -> None:
    for name in SENT_AS_HEADERS:
        if name in params:
            raise invalid(f"{name}: Extra inputs are not permitted")
    try:
        _adapter(kind, beta).validate_python(params)
    except ValidationError as error:
        raise invalid(describe(error)) from None


@cache
def _adapter(kind: Kind, beta: bool) -> TypeAdapter[Any]:
    return TypeAdapter(strict(PARAMS[kind, beta]))


def warm_up() -> None:
    """Build the validators before the first request has to wait for them."""
    for kind, beta in PARAMS:
        _adapter(kind, beta)


def describe(error: ValidationError) -> str:
    """The first problem, as the real API words it: `messages.0.content: Field required`."""
    first = error.errors(include_url=False)[0]
    path, message = list(first["loc"]), first["msg"]
    context = first.get("ctx", {})
    key = str(context.get("discriminator", "")).removesuffix("()")
    if first["type"] == "union_tag_not_found":
        is_object = isinstance(first["input"], dict)
        path += [key] if is_object else []
        message = "Field required" if is_object else "Input should be a valid dictionary"
    if first["type"] == "union_tag_invalid":
        message = (
            f"Input tag '{context['tag']}' found using '{key}' does not match any of the expected tags: "
            f"{context['expected_tags']}"
        ).replace(MARK, "")
    return f"{render_path(path)}: {message}"


def render_path(path: Iterable[str | int]) -> str:
    """`messages.0.content.0.text.text`; tags of our own (see `strict_types.MARK`) are left out."""
    return ".".join(str(part) for part in path if not str(part).startswith(MARK))
