"""What a message answers, whole and streamed."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anthropic
import pytest
from anthropic.types import Message
from anthropic.types.beta import BetaMessage
from pydantic import BaseModel

from core.simulator import Simulator
from core.simulator.tokens import count_text

from .conftest import MODEL, text_of

LONG_TEXT = "The meeting began late, because the train stood still. We agreed on a budget; nobody objected. Ann pays."


def user(text: Any) -> list[Any]:
    return [{"role": "user", "content": text}]


def test_an_answer_is_a_message_of_the_sdk(ask: Any) -> None:
    message = ask()
    Message.model_validate(message.to_dict(), strict=False)
    assert message.role == "assistant"
    assert message.model == MODEL
    assert message.stop_reason == "end_turn"
    assert text_of(message)
    assert message._request_id.startswith("req_")


def test_the_same_request_gets_the_same_answer(ask: Any) -> None:
    first, second = ask("What is a good plan?"), ask("What is a good plan?")
    assert first.content == second.content
    assert first.usage == second.usage
    assert first.id != second.id
    assert first._request_id != second._request_id


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"Summarise this text:\n{LONG_TEXT}", "- We agreed on a budget."),
        (
            "Translate into German:\nHello, the order is new and the price is good.",
            "[German] Hallo, die Bestellung ist neu",
        ),
        ("Answer this customer:\nSubject: Parcel is missing\nWhere is my parcel?", "“Parcel is missing”"),
        ("Explain this code:\n```python\ndef f(x):\n    return x\n```", "`return x` — hands back the result."),
        (
            "Sort this feedback:\nThe staff was friendly.\nDelivery was slow.",
            "**Complaints** (1)\n- Delivery was slow.",
        ),
        ("The garden is dry. It has not rained for weeks.", "The garden is dry"),
    ],
)
def test_answers_are_drawn_from_the_text(ask: Any, text: str, expected: str) -> None:
    assert expected in text_of(ask(text))


def test_a_stream_tells_the_same_as_json(client: anthropic.Anthropic, ask: Any) -> None:
    whole = ask(f"Summarise:\n{LONG_TEXT}", model="claude-opus-5-5")
    with client.messages.stream(
        model="claude-opus-5-5", max_tokens=1000, messages=user(f"Summarise:\n{LONG_TEXT}")
    ) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == text_of(whole)
    assert [block.to_dict() | {"parsed_output": None} for block in final.content] == [
        block.to_dict() | {"parsed_output": None} for block in whole.content
    ]
    assert final.usage == whole.usage
    assert final.stop_reason == whole.stop_reason


def test_the_event_stream_is_complete_and_in_order(client: anthropic.Anthropic) -> None:
    with client.messages.with_streaming_response.create(
        model="claude-opus-5-5",
        max_tokens=1000,
        messages=user("Hello there"),
        stream=True,
        thinking={"type": "adaptive", "display": "summarized"},
    ) as response:
        lines = [line.removeprefix("event: ") for line in response.iter_lines() if line.startswith("event: ")]
    short = [name for index, name in enumerate(lines) if index == 0 or lines[index - 1] != name]
    block = ["content_block_start", "content_block_delta", "content_block_stop"]
    assert short == ["message_start", *block, "ping", *block, "message_delta", "message_stop"]


def test_usage_in_a_stream_is_cumulative_and_begins_with_the_input(client: anthropic.Anthropic) -> None:
    events = list(client.messages.create(model=MODEL, max_tokens=1000, messages=user(LONG_TEXT), stream=True))
    start = next(event for event in events if event.type == "message_start")
    delta = next(event for event in events if event.type == "message_delta")
    assert start.message.usage.input_tokens == delta.usage.input_tokens
    assert start.message.usage.input_tokens > 0
    assert delta.usage.output_tokens > start.message.usage.output_tokens


def test_the_async_client_streams(simulator: Simulator) -> None:
    async def run() -> list[str]:
        async with anthropic.AsyncAnthropic(api_key="sk-test", base_url=simulator.url, max_retries=0) as client:

            async def one(number: int) -> str:
                async with client.messages.stream(
                    model=MODEL, max_tokens=1000, messages=user(f"Plan number {number}")
                ) as stream:
                    return text_of(await stream.get_final_message())

            return await asyncio.gather(*(one(number) for number in range(5)))

    assert all(f"Plan number {number}" in text for number, text in enumerate(asyncio.run(run())))


def test_fifty_streams_run_side_by_side(client: anthropic.Anthropic, simulator: Simulator) -> None:
    def one(number: int) -> str:
        with client.messages.stream(model=MODEL, max_tokens=1000, messages=user(f"Story {number}")) as stream:
            return text_of(stream.get_final_message())

    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(one, range(50)))
    assert all(f"Story {number}" in text for number, text in enumerate(answers))
    assert len(simulator.bill()["entries"]) == 50


def test_a_stream_is_paced() -> None:
    with Simulator(pace=400) as simulator, anthropic.Anthropic(api_key="k", base_url=simulator.url) as client:
        began = time.monotonic()
        with client.messages.stream(
            model=MODEL, max_tokens=80, messages=user("[[simulate: long tokens=80]] x"), thinking={"type": "disabled"}
        ) as stream:
            first = next(iter(stream.text_stream))
            to_first = time.monotonic() - began
            tokens = stream.get_final_message().usage.output_tokens
        taken = time.monotonic() - began
    assert first
    assert to_first < taken
    assert tokens / 400 * 0.8 < taken < 5


def test_max_tokens_cuts_the_answer(ask: Any) -> None:
    message = ask("Summarise:\n" + LONG_TEXT, max_tokens=7, thinking={"type": "disabled"})
    assert message.stop_reason == "max_tokens"
    assert message.usage.output_tokens == 7 == count_text(text_of(message))


def test_max_tokens_of_zero_answers_nothing(ask: Any) -> None:
    message = ask(max_tokens=0)
    assert message.content == []
    assert message.usage.output_tokens == 0
    assert message.usage.input_tokens > 0


def test_a_stop_sequence_ends_the_answer_before_it(ask: Any) -> None:
    message = ask('[[simulate: answer="one two three"]]', stop_sequences=["three", "two"])
    assert text_of(message) == "one "
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "two")


def test_a_refusal_says_so(ask: Any) -> None:
    message = ask("Do it. [[simulate: refusal]]")
    assert message.stop_reason == "refusal"
    assert message.stop_details.type == "refusal"


def test_a_long_answer_is_long(ask: Any) -> None:
    message = ask("Write about rivers. [[simulate: long tokens=3000]]", max_tokens=10_000)
    assert 2900 < message.usage.output_tokens < 3200


def test_thinking_is_left_out_by_todays_models_and_shown_on_request(ask: Any) -> None:
    silent = ask(model="claude-opus-5-5").content[0]
    shown = ask(model="claude-opus-5-5", thinking={"type": "adaptive", "display": "summarized"}).content[0]
    assert silent.type == shown.type == "thinking"
    assert silent.thinking == ""
    assert silent.signature
    assert shown.thinking


def test_thinking_tokens_are_part_of_the_output(ask: Any) -> None:
    message = ask(model="claude-opus-5-5")
    details = message.usage.output_tokens_details
    assert message.usage.output_tokens == details.thinking_tokens + count_text(text_of(message))


def test_an_older_model_thinks_within_a_budget(ask: Any) -> None:
    message = ask(model="claude-haiku-4-5", max_tokens=3000, thinking={"type": "enabled", "budget_tokens": 1024})
    assert message.content[0].type == "thinking"
    assert message.content[0].thinking
    assert message.model == "claude-haiku-4-5-20251001"


def test_the_history_may_carry_thinking_of_the_same_model(ask: Any) -> None:
    first = ask(model="claude-opus-5-5")
    history = [
        *user("Tell me about trees."),
        {"role": "assistant", "content": [block.to_dict() for block in first.content]},
        *user("And shrubs?"),
    ]
    assert "And shrubs" in text_of(ask(model="claude-opus-5-5", messages=history))
    with pytest.raises(anthropic.BadRequestError, match="Invalid `signature` in `thinking` block"):
        ask(model="claude-sonnet-5-5", messages=history)


WEATHER: Any = {
    "name": "get_weather",
    "description": "Weather of a city",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
        "required": ["city", "days"],
    },
}


def test_a_tool_is_used_where_the_text_asks_for_it_and_its_result_is_answered(client: anthropic.Anthropic) -> None:
    question = user("What is the weather in the next 3 days?\nCity: Bern")
    first = client.messages.create(model="claude-sonnet-5-5", max_tokens=500, messages=question, tools=[WEATHER])
    call = next(block for block in first.content if block.type == "tool_use")
    assert first.stop_reason == "tool_use"
    assert call.input == {"city": "Bern", "days": 3}
    result: Any = [{"type": "tool_result", "tool_use_id": call.id, "content": "Snow"}]
    second = client.messages.create(
        model="claude-sonnet-5-5",
        max_tokens=500,
        messages=[*question, first.to_param(), *user(result)],
        tools=[WEATHER],
    )
    assert "Snow" in text_of(second)


def test_a_tool_call_is_streamed_as_partial_json(client: anthropic.Anthropic) -> None:
    with client.messages.stream(
        model=MODEL,
        max_tokens=500,
        messages=user("City: Basel. 2 days."),
        tools=[WEATHER],
        tool_choice={"type": "tool", "name": "get_weather"},
    ) as stream:
        kinds = {event.delta.type for event in stream if event.type == "content_block_delta"}
        final = stream.get_final_message()
    call = next(block for block in final.content if block.type == "tool_use")
    assert "input_json_delta" in kinds
    assert call.input["days"] == 2


def test_web_searches_are_counted_in_the_usage(ask: Any, client: anthropic.Anthropic) -> None:
    tools: Any = [{"type": "web_search_20260318", "name": "web_search", "max_uses": 5}]
    text = "Who won? [[simulate: web-search uses=2]]"
    message = ask(text, tools=tools)
    assert message.usage.server_tool_use.web_search_requests == 2
    assert [block.type for block in message.content].count("web_search_tool_result") == 2
    with client.messages.stream(model=MODEL, max_tokens=1000, messages=user(text), tools=tools) as stream:
        assert stream.get_final_message().usage == message.usage


class Ticket(BaseModel):
    """What a support form knows."""

    category: str
    urgent: bool
    summary: str


def test_parse_returns_the_model_that_was_asked_for(client: anthropic.Anthropic) -> None:
    message = client.messages.parse(
        model=MODEL, max_tokens=500, messages=user("Category: billing\nMy invoice is wrong."), output_format=Ticket
    )
    assert message.parsed_output is not None
    assert message.parsed_output.category == "billing"


def test_usage_names_speed_geography_and_tier(ask: Any) -> None:
    usage = ask(model="claude-opus-5-5", speed="fast", inference_geo="us", service_tier="standard_only").usage
    assert (usage.speed, usage.inference_geo, usage.service_tier) == ("fast", "us", "standard")


def test_the_beta_namespace_answers_too(client: anthropic.Anthropic) -> None:
    message = client.beta.messages.create(
        model=MODEL,
        max_tokens=500,
        messages=user("Hello"),
        betas=["context-management-2025-06-27"],
        context_management={"edits": [{"type": "clear_tool_uses_20250919"}]},
    )
    assert isinstance(message, BetaMessage)
    assert text_of(message)


def test_rate_limit_headers_count_down(client: anthropic.Anthropic) -> None:
    def remaining() -> tuple[int, int, int]:
        response = client.messages.with_raw_response.create(model=MODEL, max_tokens=100, messages=user("Hi"))
        names = ("requests", "input-tokens", "output-tokens")
        assert response.headers["anthropic-organization-id"]
        assert all(response.headers[f"anthropic-ratelimit-{name}-reset"].endswith("Z") for name in names)
        assert all(int(response.headers[f"anthropic-ratelimit-{name}-limit"]) > 0 for name in names)
        first, second, third = (int(response.headers[f"anthropic-ratelimit-{name}-remaining"]) for name in names)
        return first, second, third

    before, after = remaining(), remaining()
    assert all(later < earlier for earlier, later in zip(before, after, strict=True))
