"""What programs do with the official Python SDK: each scenario answers plain values, to compare two servers by.

The same functions run with the synchronous and the asynchronous client: both are awaited, `_now` makes plain values so.
"""

from __future__ import annotations

import asyncio
import base64
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anthropic
from pydantic import BaseModel

MODEL = "claude-haiku-5-5"
THINKER = "claude-opus-5-5"
# One pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PDF = base64.b64encode(
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Count 1/Kids[3 0 R]>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
).decode()
WEATHER: Any = {
    "name": "get_weather",
    "description": "The weather of a place.",
    "input_schema": {
        "type": "object",
        "properties": {"place": {"type": "string"}},
        "required": ["place"],
        "additionalProperties": False,
    },
}
# What differs from one request to the next, whoever answers.
VARIES = {"id", "request_id", "_request_id", "created_at", "archived_at", "ended_at", "expires_at", "results_url"}

Client = anthropic.Anthropic | anthropic.AsyncAnthropic
Scenario = Callable[[Any], Awaitable[Any]]


async def _now(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def plain(value: Any) -> Any:
    """`value` as JSON would hold it, without what varies."""
    if isinstance(value, BaseModel):
        return plain(value.model_dump(mode="json"))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items() if key not in VARIES}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def user(*content: Any) -> list[Any]:
    return [{"role": "user", "content": content[0] if len(content) == 1 else list(content)}]


async def _create(client: Any, **more: Any) -> Any:
    return plain(await _now(client.messages.create(**{"model": MODEL, "max_tokens": 100, **more})))


async def text(client: Any) -> Any:
    return await _create(client, messages=user("Say hello."), system="Be brief.", stop_sequences=["never"])


async def cached_system(client: Any) -> Any:
    system = [{"type": "text", "text": "A long rule. " * 2000, "cache_control": {"type": "ephemeral"}}]
    return [await _create(client, messages=user("Say hello."), system=system) for _ in range(2)]


async def tools(client: Any) -> Any:
    first = await _now(
        client.messages.create(
            model=MODEL, max_tokens=100, tools=[WEATHER], messages=user("[[simulate: tool=get_weather]] Berlin?")
        )
    )
    call = next(block for block in first.content if block.type == "tool_use")
    history = [
        *user("[[simulate: tool=get_weather]] Berlin?"),
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]},
        *user({"type": "tool_result", "tool_use_id": call.id, "content": "Rain."}, {"type": "text", "text": "So?"}),
    ]
    second = await _create(client, tools=[WEATHER], messages=history)
    return [plain(first), second]


async def image_and_document(client: Any) -> Any:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    document = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": PDF}}
    return await _create(client, messages=user(image, document, {"type": "text", "text": "What is on these?"}))


async def thinking(client: Any) -> Any:
    return await _create(
        client, model=THINKER, max_tokens=2000, thinking={"type": "adaptive"}, messages=user("Think about tea.")
    )


class Mood(BaseModel):
    mood: str


async def structured(client: Any) -> Any:
    parsed = await _now(
        client.messages.parse(
            model=MODEL,
            max_tokens=100,
            messages=user('[[simulate: answer="{\\"mood\\": \\"good\\"}"]]'),
            output_format=Mood,
        )
    )
    return [plain(parsed), plain(parsed.parsed_output)]


async def beta(client: Any) -> Any:
    made = client.beta.messages.create(
        model=MODEL, max_tokens=100, messages=user("Say hello."), betas=["context-management-2025-06-27"]
    )
    return plain(await _now(made))


async def unknown_fields(client: Any) -> Any:
    """What this server has never heard of reaches Claude, whose answer to it comes back."""
    try:
        return await _create(client, messages=user("Say hello."), extra_body={"never_heard_of": {"it": 1}})
    except anthropic.APIStatusError as error:
        return error_of(error)


async def raw_headers(client: Any) -> Any:
    raw = await _now(client.messages.with_raw_response.create(model=MODEL, max_tokens=50, messages=user("Say hello.")))
    return {"type": raw.headers["content-type"], "request": raw.headers["request-id"].startswith("req_")}


async def batches(client: Any) -> Any:
    """From the making of a batch to its results; and one that is taken back."""
    made = await _batch(client, "Say hello.", "[[simulate: batch=errored]]")
    ended = made
    while ended.processing_status != "ended":
        ended = await _now(client.messages.batches.retrieve(made.id))
        await asyncio.sleep(0.05)
    results = [plain(line) async for line in _each(await _now(client.messages.batches.results(made.id)))]
    listed = [batch.id async for batch in _each(await _now(client.messages.batches.list(limit=5)))]
    removed = await _now(client.messages.batches.delete(made.id))
    counts = plain(ended.request_counts)
    return [plain(made), counts, sorted(results, key=str), made.id in listed, plain(removed)]


async def _batch(client: Any, *texts: str) -> Any:
    requests = [
        {"custom_id": f"row-{number}", "params": {"model": MODEL, "max_tokens": 50, "messages": user(text)}}
        for number, text in enumerate(texts)
    ]
    return await _now(client.messages.batches.create(requests=requests))


async def _each(found: Any) -> AsyncIterator[Any]:
    """The same of what is iterated asynchronously and of what is not."""
    if hasattr(found, "__aiter__"):
        async for item in found:
            yield item
    else:
        for item in found:
            yield item


async def stream_events(client: Any) -> Any:
    stream = await _now(client.messages.create(model=MODEL, max_tokens=60, messages=user("A story."), stream=True))
    return [plain(event) for event in await _all(stream)]


async def stream_tools(client: Any) -> Any:
    stream = await _now(
        client.messages.create(
            model=MODEL,
            max_tokens=100,
            tools=[WEATHER],
            messages=user("[[simulate: tool=get_weather]] Berlin?"),
            stream=True,
        )
    )
    return [plain(event) for event in await _all(stream)]


async def stream_thinking(client: Any) -> Any:
    stream = await _now(
        client.messages.create(
            model=THINKER,
            max_tokens=2000,
            thinking={"type": "adaptive"},
            messages=user("Think about tea."),
            stream=True,
        )
    )
    return [plain(event) for event in await _all(stream)]


async def stream_helper(client: Any) -> Any:
    """The SDK's own helper, which puts the message together."""
    manager = client.messages.stream(model=MODEL, max_tokens=60, messages=user("A story."))
    if isinstance(client, anthropic.AsyncAnthropic):
        async with manager as stream:
            pieces = [piece async for piece in stream.text_stream]
            return ["".join(pieces), plain(await stream.get_final_message())]
    with manager as stream:
        return ["".join(stream.text_stream), plain(stream.get_final_message())]


async def _all(stream: Any) -> list[Any]:
    if hasattr(stream, "__aiter__"):
        return [event async for event in stream]
    return list(stream)


async def counting(client: Any) -> Any:
    return plain(await _now(client.messages.count_tokens(model=MODEL, system="Be brief.", messages=user("Say hello."))))


async def models(client: Any) -> Any:
    page = await _now(client.models.list(limit=3))
    # Their own ids are what is compared.
    listed = [(model.id, model.display_name, model.max_tokens) for model in page.data]
    one = await _now(client.models.retrieve(MODEL))
    return [listed, page.has_more, one.id, one.display_name, one.max_input_tokens]


def error_of(error: anthropic.APIError) -> list[Any]:
    status = getattr(error, "status_code", None)
    body = error.body if isinstance(error.body, dict) else {}
    return [type(error).__name__, status, getattr(error, "type", None), plain(body)]


def failing(directive: str, **more: Any) -> Scenario:
    """A scenario in which Claude refuses or breaks, as the directive to the simulator says."""

    async def scenario(client: Any) -> Any:
        request = {"model": MODEL, "max_tokens": 50, "messages": user(f"[[simulate: {directive}]]"), **more}
        try:
            made = await _now(client.messages.create(**request))
            return [plain(event) for event in await _all(made)] if more.get("stream") else plain(made)
        except anthropic.APIError as error:
            return error_of(error)

    return scenario


def refused(**change: Any) -> Scenario:
    """A request that Claude itself refuses."""

    async def scenario(client: Any) -> Any:
        request = {"model": MODEL, "max_tokens": 50, "messages": user("Hello."), **change}
        try:
            return plain(await _now(client.messages.create(**request)))
        except anthropic.APIError as error:
            return error_of(error)

    return scenario


SCENARIOS: dict[str, Scenario] = {
    "text": text,
    "cached system prompt": cached_system,
    "tools": tools,
    "image and document": image_and_document,
    "thinking": thinking,
    "structured output": structured,
    "beta": beta,
    "unknown fields": unknown_fields,
    "headers": raw_headers,
    "stream of events": stream_events,
    "stream of tools": stream_tools,
    "stream of thinking": stream_thinking,
    "stream helper": stream_helper,
    "batches": batches,
    "counting": counting,
    "models": models,
    "refusal": failing("refusal"),
    "400": failing("status=400"),
    "403": failing("status=403"),
    "404": failing("status=404"),
    "409": failing("status=409"),
    "413": failing("status=413"),
    "422": failing("status=422"),
    "429": failing("status=429 retry-after=none"),
    "500": failing("status=500"),
    "529": failing("status=529"),
    "spend limit": failing("spend-limit"),
    "error event": failing("error-event=overloaded_error after=3", stream=True),
    "529 of a stream": failing("status=529", stream=True),
    "unknown model": refused(model="claude-sonnet-4-20250514"),
    "no messages": refused(messages=[]),
    "max_tokens of 0": refused(max_tokens=0),
    "prefilled answer": refused(
        messages=[{"role": "user", "content": "Hello."}, {"role": "assistant", "content": "I"}]
    ),
}
