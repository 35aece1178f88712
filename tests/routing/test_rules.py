"""Does a route always give exactly one outcome, that of the first rule that matches?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.routing.conditions import CONDITIONS as KINDS
from core.routing.facts import Facts
from core.routing.rules import compile_route, decide

LANES = ["sync", "stream", "queue", "batch"]
FACTS = st.builds(
    Facts,
    text=st.sampled_from(["", "translate this", "what is it", "x" * 50]),
    lane=st.sampled_from(LANES),
    user=st.sampled_from([None, 1, 2]),
    caller=st.sampled_from(["person 1", "key 2", "call 3"]),
    holds=st.frozensets(st.sampled_from(["image", "document", "tools"])),
    input_tokens=st.integers(0, 100).map(lambda tokens: lambda: tokens),
    language=st.sampled_from(["", "de", "en"]).map(lambda language: lambda: language),
    class_of=st.sampled_from(["simple", "complex"]).map(lambda label: lambda _slug: label),
    prompt=st.sampled_from([None, 1, 2]),
    key=st.sampled_from([None, 1, 2]),
    structured=st.booleans(),
    tags=st.frozensets(st.sampled_from(["legal", "long"])).map(lambda tags: lambda: tags),
    groups=st.frozensets(st.sampled_from([1, 2])).map(lambda groups: lambda: groups),
    budget_left=st.sampled_from([None, 0.0, 0.1, 0.5, 1.0]).map(lambda left: lambda: left),
    at=st.datetimes(dt.datetime(2026, 11, 1), dt.datetime(2026, 12, 1)),  # noqa: DTZ001 - local time
)
CLOCK = st.sampled_from(["00:00", "08:00", "18:00", "22:00"])
CONDITION = st.one_of(
    st.fixed_dictionaries({"kind": st.just("lane"), "lanes": st.lists(st.sampled_from(LANES))}),
    st.fixed_dictionaries({"kind": st.just("user"), "users": st.lists(st.sampled_from([1, 2]))}),
    st.fixed_dictionaries({"kind": st.just("words"), "words": st.lists(st.sampled_from(["translate", "what"]))}),
    st.fixed_dictionaries(
        {"kind": st.just("length"), "at_least": st.integers(0, 100), "at_most": st.none() | st.integers(0, 100)}
    ),
    st.fixed_dictionaries({"kind": st.just("has"), "what": st.lists(st.sampled_from(["image", "tools"]))}),
    st.fixed_dictionaries({"kind": st.just("share"), "percent": st.integers(0, 100)}),
    st.fixed_dictionaries({"kind": st.just("language"), "languages": st.lists(st.sampled_from(["de", "en"]))}),
    st.fixed_dictionaries(
        {"kind": st.just("class"), "classifier": st.just("c"), "labels": st.lists(st.sampled_from(["simple"]))}
    ),
    st.fixed_dictionaries({"kind": st.just("prompt"), "prompts": st.lists(st.sampled_from([1, 2]))}),
    st.fixed_dictionaries({"kind": st.just("key"), "keys": st.lists(st.sampled_from([1, 2]))}),
    st.fixed_dictionaries({"kind": st.just("structured")}),
    st.fixed_dictionaries({"kind": st.just("tag"), "tags": st.lists(st.sampled_from(["legal", "long"]))}),
    st.fixed_dictionaries({"kind": st.just("group"), "groups": st.lists(st.sampled_from([1, 2]))}),
    st.fixed_dictionaries({"kind": st.just("budget"), "percent": st.integers(0, 100)}),
    st.fixed_dictionaries({"kind": st.just("pattern"), "pattern": st.sampled_from(["^trans", "x{40}", "is"])}),
    st.fixed_dictionaries(
        {"kind": st.just("time"), "start": CLOCK, "end": CLOCK, "days": st.lists(st.integers(0, 6), max_size=7)}
    ),
)
CONDITIONS = st.lists(
    st.builds(lambda stored, negated: {**stored, "not": negated}, CONDITION, st.booleans()), max_size=3
)


def route_of(conditions: list[list[Mapping[str, Any]]]) -> dict[str, Any]:
    return {
        "slug": "r",
        "name": "R",
        "rules": [{"name": "", "conditions": each, "model": f"model-{n}"} for n, each in enumerate(conditions)],
        "default": {"model": "default"},
    }


def alone(conditions: list[Mapping[str, Any]], facts: Facts) -> bool:
    """Whether a route with this one rule comes to it."""
    return decide(compile_route(route_of([conditions])), facts).rule == 0


@given(st.lists(CONDITIONS, max_size=6), FACTS)
def test_the_outcome_is_that_of_the_first_rule_that_matches(
    conditions: list[list[Mapping[str, Any]]], facts: Facts
) -> None:
    decision = decide(compile_route(route_of(conditions)), facts)
    matching = [place for place, each in enumerate(conditions) if alone(each, facts)]
    assert decision.rule == (matching[0] if matching else None)
    assert decision.outcome.model == (f"model-{matching[0]}" if matching else "default")
    # Every rule before it was looked at, and says which of its conditions did not hold.
    assert [place for place, _ in decision.failed] == list(range(matching[0] if matching else len(conditions)))
    for place, where in decision.failed:
        assert not alone([conditions[place][where]], facts)


def test_the_properties_are_tried_with_every_kind_of_condition() -> None:
    tried: set[str] = set()

    @given(CONDITION)
    def collect(stored: Mapping[str, Any]) -> None:
        tried.add(stored["kind"])

    collect()
    assert tried == set(KINDS)


def test_a_classifier_is_not_asked_before_all_else_holds() -> None:
    asked: list[str] = []

    def class_of(slug: str) -> str:
        asked.append(slug)
        return "simple"

    facts = Facts(class_of=class_of)
    by_class = {"kind": "class", "classifier": "c", "labels": ["simple"]}
    for_queue = {"kind": "lane", "lanes": ["queue"]}
    assert decide(compile_route(route_of([[by_class, for_queue]])), facts).failed == ((0, 1),)
    assert asked == []
