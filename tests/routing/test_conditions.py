"""When does each kind of condition hold?"""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import pytest

from core.routing import conditions
from core.routing.conditions import CONDITIONS
from core.routing.facts import Facts, asked_text, holds, input_tokens
from core.routing.rules import test_of as compiled

MONDAY, NIGHT = dt.datetime(2026, 11, 23, 10, 30), dt.datetime(2026, 11, 24, 1, 0)  # noqa: DTZ001 - local time


def is_(kind: str, **parameters: Any) -> dict[str, Any]:
    return {"kind": kind, **parameters}


TABLE: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    (is_("class", classifier="c", labels=["a", "b"]), {"class_of": lambda slug: {"c": "a"}[slug]}, True),
    (is_("class", classifier="c", labels=["b"]), {"class_of": lambda slug: {"c": "a"}[slug]}, False),
    (is_("prompt", prompts=[3]), {"prompt": 3}, True),
    (is_("prompt", prompts=[3]), {"prompt": None}, False),
    (is_("tag", tags=["legal"]), {"tags": lambda: frozenset({"legal", "long"})}, True),
    (is_("tag", tags=["legal"]), {"tags": lambda: frozenset({"long"})}, False),
    (is_("user", users=[1, 2]), {"user": 2}, True),
    (is_("user", users=[1, 2]), {"user": None}, False),
    (is_("group", groups=[5]), {"groups": lambda: frozenset({4, 5})}, True),
    (is_("group", groups=[5]), {"groups": lambda: frozenset({4})}, False),
    (is_("key", keys=[7]), {"key": 7}, True),
    (is_("key", keys=[7]), {"key": None}, False),
    (is_("lane", lanes=["queue", "batch"]), {"lane": "queue"}, True),
    (is_("lane", lanes=["queue", "batch"]), {"lane": "sync"}, False),
    (is_("language", languages=["de"]), {"language": lambda: "de"}, True),
    (is_("language", languages=["de"]), {"language": lambda: ""}, False),
    (is_("length", at_least=10, at_most=20), {"input_tokens": lambda: 10}, True),
    (is_("length", at_least=10, at_most=20), {"input_tokens": lambda: 20}, True),
    (is_("length", at_least=10, at_most=20), {"input_tokens": lambda: 21}, False),
    (is_("length", at_least=10), {"input_tokens": lambda: 9}, False),
    (is_("length", at_most=0), {"input_tokens": lambda: 1}, False),
    (is_("has", what=["image", "document"]), {"holds": frozenset({"document"})}, True),
    (is_("has", what=["tools"]), {"holds": frozenset({"document"})}, False),
    (is_("structured"), {"structured": True}, True),
    (is_("structured"), {"structured": False}, False),
    (is_("words", words=["translate"]), {"text": "Please TRANSLATE this."}, True),
    (is_("words", words=["late"]), {"text": "Please translate this."}, False),
    (is_("words", words=["in other words"]), {"text": "In other\nwords: yes"}, True),
    (is_("words", words=["c++"]), {"text": "Is C++ dead?"}, True),
    (is_("words", words=["Übersetze"]), {"text": "übersetze das"}, True),
    (is_("pattern", pattern=r"\bINV-\d{4}\b"), {"text": "See INV-2041."}, True),
    (is_("pattern", pattern=r"\bINV-\d{4}\b"), {"text": "See INV-20."}, False),
    (is_("time", start="08:00", end="18:00"), {"at": MONDAY}, True),
    (is_("time", start="08:00", end="10:30"), {"at": MONDAY}, False),
    (is_("time", start="08:00", end="18:00", days=[1, 2]), {"at": MONDAY}, False),
    # Tuesday at one in the night still belongs to Monday's night, and not to Tuesday's.
    (is_("time", start="22:00", end="06:00", days=[0]), {"at": NIGHT}, True),
    (is_("time", start="22:00", end="06:00", days=[1]), {"at": NIGHT}, False),
    (is_("share", percent=100), {"caller": "key 1"}, True),
    (is_("share", percent=0), {"caller": "key 1"}, False),
    (is_("budget", percent=20), {"budget_left": lambda: 0.1}, True),
    (is_("budget", percent=20), {"budget_left": lambda: 0.2}, False),
    (is_("budget", percent=20), {"budget_left": lambda: None}, False),
]


@pytest.mark.parametrize(("stored", "facts", "expected"), TABLE)
def test_a_condition_holds_exactly_when_it_should(
    stored: dict[str, Any], facts: dict[str, Any], expected: bool
) -> None:
    assert compiled(stored)(Facts(**facts)) is expected
    assert compiled({**stored, "not": True})(Facts(**facts)) is not expected


def test_every_kind_is_in_the_table_as_holding_and_as_not_holding() -> None:
    assert {(stored["kind"], expected) for stored, _, expected in TABLE} == {
        (kind, expected) for kind in CONDITIONS for expected in (True, False)
    }


def test_a_share_holds_for_about_so_many_callers_and_always_for_the_same() -> None:
    callers = [Facts(caller=f"key {number}", route="auto") for number in range(2000)]
    tenth, fifth = (compiled(is_("share", percent=percent)) for percent in (10, 20))
    chosen = {facts.caller for facts in callers if tenth(facts)}
    assert 140 < len(chosen) < 260
    assert chosen <= {facts.caller for facts in callers if fifth(facts)}
    assert chosen == {facts.caller for facts in callers if tenth(facts)}


def test_a_regular_expression_that_runs_away_is_stopped() -> None:
    begun = time.perf_counter()
    held = compiled(is_("pattern", pattern=r"(a|aa)+$"))(Facts(text="a" * 200 + "!"))
    assert not held
    assert time.perf_counter() - begun < conditions.PATTERN_TIME * 10


def test_what_a_request_holds_is_found_in_results_of_tools_too() -> None:
    image = {"type": "image", "source": {"type": "base64", "data": "A" * 100_000}}
    result = {"type": "tool_result", "tool_use_id": "x", "content": [image]}
    request = {"messages": [{"role": "user", "content": [{"type": "text", "text": "Look"}, result]}], "tools": [{}]}
    assert holds(request) == {"image", "tools"}
    assert asked_text(request) == "Look"
    assert input_tokens(request) < 1000


@pytest.mark.parametrize(
    "request_",
    [{}, {"messages": "x"}, {"messages": [1, {"role": "user"}, {"role": "user", "content": [1, {"type": "text"}]}]}],
)
def test_a_request_in_no_shape_at_all_breaks_nothing(request_: dict[str, Any]) -> None:
    assert (asked_text(request_), holds(request_)) == ("", frozenset())
    assert input_tokens(request_) >= 0
