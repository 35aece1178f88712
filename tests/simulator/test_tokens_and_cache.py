"""How tokens are counted, and which of them come from the cache."""

from __future__ import annotations

import re
from typing import Any

import anthropic
import pytest

from core.simulator import Simulator
from core.simulator.caching import LIFETIME, InputSplit, PromptCache
from core.simulator.catalogue import find_model
from core.simulator.tokens import PromptBlock, count_text

from .conftest import MODEL

BOOK = "It was a dark and stormy night. " * 200
TOOL: dict[str, Any] = {"name": "look", "input_schema": {"type": "object", "properties": {"x": {"type": "string"}}}}


def user(text: Any) -> list[Any]:
    return [{"role": "user", "content": text}]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("", 0),
        ("Hello", 1),
        ("Hello, world!", 4),
        ("internationalisation", 4),
        ("日本語", 3),
        ("a\n\n b", 2),
        ("12.5", 3),
    ],
)
def test_a_text_always_has_the_same_count(text: str, tokens: int) -> None:
    assert count_text(text) == tokens


def test_pieces_have_the_tokens_of_the_whole() -> None:
    assert sum(map(count_text, re.findall(r"\s*\S+", BOOK))) == count_text(BOOK)


@pytest.mark.parametrize(
    "params",
    [
        {"messages": user("Hello")},
        {"messages": user([{"type": "text", "text": "Hello"}]), "system": "Be brief."},
        {"messages": user("Hello"), "tools": [TOOL], "tool_choice": {"type": "none"}},
        {"messages": user([{"type": "image", "source": {"type": "url", "url": "https://example.com/x.png"}}])},
        {
            "messages": user(
                [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": BOOK}}]
            )
        },
        {
            "messages": user("Hello"),
            "output_config": {"format": {"type": "json_schema", "schema": {"type": "string"}}},
        },
        {"messages": user("Hello"), "system": [{"type": "text", "text": BOOK, "cache_control": {"type": "ephemeral"}}]},
    ],
)
def test_count_tokens_says_what_usage_will_say(client: anthropic.Anthropic, params: dict[str, Any]) -> None:
    counted = client.messages.count_tokens(model=MODEL, **params).input_tokens
    usage = client.messages.create(model=MODEL, max_tokens=100, **params).usage
    total = usage.input_tokens + (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    assert counted == total > 0


def split_of(message: Any) -> tuple[int, int, int]:
    usage = message.usage
    return usage.input_tokens, usage.cache_creation_input_tokens, usage.cache_read_input_tokens


def test_a_prefix_is_written_once_and_then_read(ask: Any) -> None:
    system = [{"type": "text", "text": BOOK, "cache_control": {"type": "ephemeral"}}]
    first, second = ask("One", system=system), ask("Two", system=system)
    assert split_of(first)[1] == count_text(BOOK)
    assert split_of(first)[2] == 0
    assert split_of(second) == (split_of(first)[0], 0, count_text(BOOK))
    assert first.usage.cache_creation.ephemeral_5m_input_tokens == count_text(BOOK)


def test_a_long_lived_write_is_told_apart(ask: Any) -> None:
    system = [
        {"type": "text", "text": BOOK, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"type": "text", "text": "And more. " * 20, "cache_control": {"type": "ephemeral"}},
    ]
    creation = ask("One", system=system).usage.cache_creation
    assert creation.ephemeral_1h_input_tokens == count_text(BOOK)
    assert creation.ephemeral_5m_input_tokens == 60


def test_a_conversation_reads_what_the_turn_before_wrote(ask: Any) -> None:
    cached = {"cache_control": {"type": "ephemeral"}}
    first = ask(BOOK, **cached)
    history = [*user(BOOK), {"role": "assistant", "content": "Indeed."}, *user("Why?")]
    second = ask(messages=history, **cached)
    assert split_of(second)[2] == sum(split_of(first))
    assert split_of(second)[1] > 0


def test_a_short_prefix_another_model_and_another_key_find_nothing(ask: Any, simulator: Simulator) -> None:
    control = {"type": "ephemeral"}
    assert split_of(ask("One", system=[{"type": "text", "text": "Short.", "cache_control": control}]))[1:] == (0, 0)
    system: Any = [{"type": "text", "text": BOOK, "cache_control": control}]
    ask("One", system=system)
    assert split_of(ask("One", system=system, model="claude-sonnet-5-5"))[2] == 0
    with anthropic.Anthropic(api_key="sk-other", base_url=simulator.url) as other:
        message = other.messages.create(model=MODEL, max_tokens=10, system=system, messages=user("One"))
    assert split_of(message)[2] == 0


def test_an_entry_lives_as_long_as_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("core.simulator.caching.time.monotonic", lambda: now[0])
    cache, model = PromptCache(), find_model(MODEL)
    blocks = [PromptBlock("book", 1000, "5m"), PromptBlock("question", 5)]
    assert cache.split("k", model, blocks) == InputSplit(5, 1000, 0, 0)
    now[0] = LIFETIME["5m"] - 1
    assert cache.split("k", model, blocks) == InputSplit(5, 0, 0, 1000)  # and lives on from here
    now[0] += LIFETIME["5m"] - 1
    assert cache.split("k", model, blocks).read == 1000
    now[0] += LIFETIME["5m"] + 1
    assert cache.split("k", model, blocks).written_5m == 1000
