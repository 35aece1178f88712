from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core.intake.accept import InvalidInputsError, accept, run_again
from core.models import Call, Prompt, User
from core.prompts.rendering import problems, render
from core.prompts.templates import fill, names_in
from core.prompts.variables import LONGEST_TEXT, UnusableError, VariableSpec


def spec(**values: Any) -> VariableSpec:
    return VariableSpec(**{"name": "x", "label": "X", "kind": "text", **values})


@pytest.mark.parametrize(
    ("variable", "raw", "expected"),
    [
        (spec(), "  a text \r\n of two lines ", "a text \n of two lines"),
        (spec(required=False), None, ""),
        (spec(kind="choice", choices=("a", "b")), "b", "b"),
        (spec(kind="number"), "12.50", "12.50"),
        (spec(kind="number"), "1e3", "1000"),
        (spec(kind="number", minimum=Decimal(0), maximum=Decimal(10)), "0", "0"),
        (spec(kind="date"), "2026-11-21", "2026-11-21"),
        (spec(kind="yes_no"), "on", "yes"),
        (spec(kind="yes_no"), None, "no"),
        (spec(kind="yes_no", required=True), "", "no"),
        (spec(), "{{x|safe}} {0.__class__} <b>", "{{x|safe}} {0.__class__} <b>"),
    ],
)
def test_a_usable_value_becomes_text(variable: VariableSpec, raw: object, expected: str) -> None:
    assert variable.clean(raw) == expected


@pytest.mark.parametrize(
    ("variable", "raw", "sentence"),
    [
        (spec(), "   ", "Please fill this in."),
        (spec(), None, "Please fill this in."),
        (spec(maximum=Decimal(3)), "abcd", "Please use at most 3 characters; these are 4."),
        (spec(minimum=Decimal(3)), "ab", "Please use at least 3 characters; these are 2."),
        (spec(kind="long_text"), "x" * (LONGEST_TEXT + 1), "Please use at most 400,000 characters; these are 400,001."),
        (spec(), "a\x00b", "This holds a character that cannot be sent. Please type it again."),
        (spec(kind="choice", choices=("a",)), "c", "Please choose one of the options."),
        (spec(kind="number"), "1,000", "Please enter a number, such as 12 or 12.5, without spaces or commas."),
        (spec(kind="number"), "1_0", "Please enter a number, such as 12 or 12.5, without spaces or commas."),
        (spec(kind="number"), "１", "Please enter a number, such as 12 or 12.5, without spaces or commas."),
        (spec(kind="date"), "20240101", "Please enter a date as year-month-day, such as 2026-11-21."),
        (spec(kind="number"), "NaN", "Please enter a number, such as 12 or 12.5, without spaces or commas."),
        (spec(kind="number"), "Infinity", "Please enter a number, such as 12 or 12.5, without spaces or commas."),
        (spec(kind="number", minimum=Decimal(5)), "4", "Please enter a number of at least 5."),
        (spec(kind="number", maximum=Decimal(5)), "6", "Please enter a number of at most 5."),
        (spec(kind="date"), "21.11.2026", "Please enter a date as year-month-day, such as 2026-11-21."),
    ],
)
def test_an_unusable_value_is_answered_with_a_sentence(variable: VariableSpec, raw: object, sentence: str) -> None:
    with pytest.raises(UnusableError) as caught:
        variable.clean(raw)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "text",
    ["{{ x|safe }}", "{% include 'a' %}", "{0.__class__}", "{x}", "{{ x.y }}", "{{x()}}", "{{X}}", "{{ }}", "<b>"],
)
def test_only_a_plain_variable_is_a_variable(text: str) -> None:
    assert names_in(text) == []
    assert fill(text, {}) == text


def test_values_are_put_in_once_and_are_not_read_again() -> None:
    assert fill("{{a}} {{ b }} {{a}}", {"a": "{{b}}", "b": "\\1"}) == "{{b}} \\1 {{b}}"


def test_undefined_and_unused_variables_are_named() -> None:
    content = {"system_text": "{{a}}", "template": "{{b}} {{a}}", "variables": [{"name": "b"}, {"name": "c"}]}

    assert problems(content) == (["a"], ["c"])


def test_a_request_holds_what_the_prompt_is_set_to() -> None:
    content = {
        "template": "Do {{what}}",
        "system_text": "You are {{who}}",
        "model": "claude-sonnet-5-5",
        "max_tokens": 50,
        "effort": "low",
        "output_schema": {"type": "object"},
        "variables": [{"name": "what"}, {"name": "who"}],
    }

    assert render(content, {"what": "it"}) == {
        "model": "claude-sonnet-5-5",
        "max_tokens": 50,
        "system": "You are ",
        "messages": [{"role": "user", "content": "Do it"}],
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    }


def test_all_that_is_wrong_is_said_at_once_and_nothing_is_stored(prompt: Prompt, member: User) -> None:
    assert prompt.published is not None

    with pytest.raises(InvalidInputsError) as caught:
        accept(prompt.published, {"length": "enormous", "unknown": "x"}, user=member)

    assert caught.value.problems == {
        "document": "Please fill this in.",
        "length": "Please choose one of the options.",
    }
    assert not Call.objects.exists()


def test_running_again_is_a_call_of_its_own(prompt: Prompt, member: User, outsider: User) -> None:
    assert prompt.published is not None
    first = accept(prompt.published, {"document": "A text.", "length": "short"}, user=member)

    second = run_again(first, user=outsider)

    assert second.pk != first.pk
    assert (second.again_of, second.user) == (first, outsider)
    assert (second.inputs, second.request) == (first.inputs, first.request)
