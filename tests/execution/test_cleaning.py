"""What of a request is left out for another model, and which model cannot take it at all?"""

from __future__ import annotations

from typing import Any

import pytest

from core.execution.cleaning import cleaned, lacks
from core.models import ClaudeModel

NO: dict[str, Any] = {"supported": False}
YES: dict[str, Any] = {"supported": True}
PLAIN = ClaudeModel(
    pk="plain",
    max_tokens=1000,
    capabilities={
        "image_input": NO,
        "pdf_input": NO,
        "structured_outputs": NO,
        "server_tools": NO,
        "context_management": NO,
        "effort": {"supported": True, "low": YES, "max": NO},
        "thinking": {"supported": True, "types": {"adaptive": YES, "enabled": NO}},
    },
)
OLDER = ClaudeModel(pk="older", capabilities={"thinking": {"types": {"adaptive": NO, "enabled": YES}}})
IMAGE = {"type": "image", "source": {"type": "url", "url": "https://example.org/a.png"}}


def user(*blocks: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(blocks)}]}


@pytest.mark.parametrize(
    ("request_", "missing"),
    [
        (user({"type": "text", "text": "Hello"}), ""),
        (user(IMAGE), "image_input"),
        (user({"type": "tool_result", "tool_use_id": "1", "content": [IMAGE]}), "image_input"),
        (user({"type": "document", "source": {"type": "base64", "data": ""}}), "pdf_input"),
        (user({"type": "document", "source": {"type": "text", "data": "Hello"}}), ""),
        ({"output_config": {"format": {"type": "json_schema"}}}, "structured_outputs"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "server_tools"),
        ({"tools": [{"name": "of_ours", "input_schema": {}}]}, ""),
        ({"messages": [{"role": "assistant", "content": "I say"}]}, "prefill"),
    ],
)
def test_a_model_is_passed_over_that_lacks_what_the_request_needs(request_: dict[str, Any], missing: str) -> None:
    assert lacks(PLAIN, request_) == missing
    assert lacks(OLDER, request_) == "", "what the API does not speak of is not ruled out"


@pytest.mark.parametrize(
    ("fields", "plain", "older"),
    [
        ({"max_tokens": 5000}, {"max_tokens": 1000}, {"max_tokens": 5000}),
        ({"temperature": 0.5, "top_k": 1}, {}, {"temperature": 0.5, "top_k": 1}),
        ({"thinking": {"type": "adaptive"}}, {"thinking": {"type": "adaptive"}}, {}),
        ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, {},
         {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        ({"output_config": {"effort": "low"}}, {"output_config": {"effort": "low"}},
         {"output_config": {"effort": "low"}}),
        ({"output_config": {"effort": "max"}}, {}, {"output_config": {"effort": "max"}}),
        ({"output_config": {"effort": "max", "else": 1}}, {"output_config": {"else": 1}},
         {"output_config": {"effort": "max", "else": 1}}),
        ({"context_management": {"edits": []}}, {}, {"context_management": {"edits": []}}),
        ({"speed": "fast"}, {}, {}),
        ({"never_heard_of": [1]}, {"never_heard_of": [1]}, {"never_heard_of": [1]}),
    ],
)  # fmt: skip
def test_what_a_model_refuses_is_left_out(
    db: None, fields: dict[str, Any], plain: dict[str, Any], older: dict[str, Any]
) -> None:
    asked = {"model": "first", "messages": [{"role": "user", "content": "Hello"}]}

    assert cleaned({**asked, **fields}, PLAIN) == {**asked, "model": "plain", **plain}
    assert cleaned({**asked, **fields}, OLDER) == {**asked, "model": "older", **older}


def test_the_thinking_of_another_model_is_left_out_and_the_request_itself_stays_as_it_was() -> None:
    thinking = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    hidden = {"type": "redacted_thinking", "data": "s"}
    said = {"type": "text", "text": "Hello"}
    request: dict[str, Any] = {
        "messages": [
            {"role": "user", "content": "Hello"},
            {"role": "assistant", "content": [thinking, hidden, said]},
            {"role": "user", "content": [said]},
            {"role": "assistant", "content": [thinking]},
            {"role": "user", "content": "Hello"},
        ]
    }

    fields = cleaned(request, PLAIN)

    assert [message["content"] for message in fields["messages"]] == ["Hello", [said], [said], "Hello"]
    assert request["messages"][1]["content"] == [thinking, hidden, said]


def test_after_a_tool_a_budget_for_thinking_is_left_out_with_the_thinking() -> None:
    result = {"type": "tool_result", "tool_use_id": "1", "content": "4"}

    fields = cleaned({**user(result), "thinking": {"type": "enabled", "budget_tokens": 2000}}, OLDER)

    assert "thinking" not in fields
