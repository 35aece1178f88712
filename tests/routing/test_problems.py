"""What is refused or warned of before a route is published?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.models import ClaudeModel
from core.routing.facts import Facts
from core.routing.problems import Known, problems
from core.routing.rules import compile_route, decide
from tests.routing.test_rules import CONDITIONS, FACTS, route_of

TODAY = dt.date(2026, 11, 22)


def model(name: str, **values: Any) -> ClaudeModel:
    return ClaudeModel(id=name, display_name=name.title(), **values)


def supports(*names: str) -> dict[str, Any]:
    return {name: {"supported": True} for name in names}


KNOWN = Known(
    models={
        each.pk: each
        for each in (
            model("good", max_tokens=1000, capabilities=supports("batch", "image_input", "structured_outputs")),
            model("plain", max_input_tokens=200_000, capabilities=supports("nothing")),
            model("gone", lifecycle="retired"),
            model("going", lifecycle="deprecated", retires_at=dt.datetime(2026, 12, 31, tzinfo=dt.UTC)),
            model("soon", retires_at=dt.datetime(2027, 1, 5, tzinfo=dt.UTC)),
            model("later", retires_at=dt.datetime(2028, 1, 5, tzinfo=dt.UTC)),
        )
    },
    aliases={"fast": "good", "lost": "gone"},
    labels={"c": ["simple", "complex"]},
    today=TODAY,
)


def rule(*conditions: Mapping[str, Any], model: str = "good", **outcome: Any) -> dict[str, Any]:
    return {"name": "", "conditions": list(conditions), "model": model, **outcome}


def route(*rules: Mapping[str, Any], default: str = "good") -> dict[str, Any]:
    return {"slug": "r", "name": "R", "rules": list(rules), "default": {"model": default}}


GERMAN = {"kind": "language", "languages": ["de"]}
GERMAN_OR_FRENCH = {"kind": "language", "languages": ["de", "fr"]}
QUEUE = {"kind": "lane", "lanes": ["queue"]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (route(default=""), "The default has no model"),
        (route(default="nobody"), "«nobody» is neither a model nor an alias"),
        (route(rule(QUEUE, model="lost")), "«lost» (Gone) no longer answers"),
        (route(rule(QUEUE, model="plain", effort="high")), "does not take the effort «high»"),
        (route(rule(QUEUE, max_tokens=2000)), "writes at most 1,000 tokens"),
        (route(rule(QUEUE, model="plain", batch=True)), "takes no batches"),
        (route(rule({"kind": "has", "what": ["image"]}, model="plain")), "cannot read images"),
        (route(rule({"kind": "has", "what": ["document"]}, model="plain")), "cannot read documents"),
        (route(rule({"kind": "structured"}, model="plain")), "cannot answer as data"),
        (route(rule({"kind": "length", "at_least": 300_000}, model="plain")), "reads at most 200,000 tokens"),
        (route(rule(), rule(QUEUE)), "rule 1, which comes before it, matches every request"),
        (route(rule(GERMAN_OR_FRENCH), rule(QUEUE, GERMAN)), "rule 1, which comes before it, matches all that this"),
        (
            route(rule({"kind": "length", "at_least": 5}), rule({"kind": "length", "at_least": 9, "at_most": 20})),
            "Rule 2 can never fire",
        ),
        (
            route(rule({**GERMAN, "not": True}), rule({**GERMAN_OR_FRENCH, "not": True})),
            "Rule 2 can never fire",
        ),
        (route(rule({"kind": "length", "at_least": 9, "at_most": 8})), "«length of the input» can never hold"),
        (route(rule({"kind": "lane", "lanes": []})), "«lane» can never hold"),
        (route(rule({"kind": "share", "percent": 100, "not": True})), "«share of the callers» can never hold"),
        (route(rule(GERMAN, {"kind": "language", "languages": ["fr"]})), "exclude each other"),
        (route(rule(GERMAN, {**GERMAN_OR_FRENCH, "not": True})), "exclude each other"),
        (route(rule({"kind": "length", "at_most": 5}, {"kind": "length", "at_least": 6})), "exclude each other"),
        (route(rule({"kind": "class", "classifier": "x", "labels": ["a"]})), "there is no classifier «x»"),
        (route(rule({"kind": "class", "classifier": "c", "labels": ["a"]})), "has no label «a»"),
        (route(rule({"kind": "pattern", "pattern": "("})), "the regular expression cannot be read"),
        (route(rule({"kind": "weather"})), "no condition of the kind «weather»"),
    ],
)
def test_what_cannot_work_is_refused(content: dict[str, Any], said: str) -> None:
    refused = [problem.message for problem in problems(content, KNOWN) if problem.refused]
    assert any(said in message for message in refused), refused


@pytest.mark.parametrize(
    ("name", "said"), [("going", "stops answering on 31 December 2026"), ("soon", "5 January 2027"), ("later", "")]
)
def test_a_model_that_retires_soon_is_warned_of(name: str, said: str) -> None:
    found = problems(route(rule(QUEUE, model=name)), KNOWN)
    assert [said in problem.message for problem in found] == ([True] if said else [])
    assert not any(problem.refused for problem in found)


def test_rules_that_only_overlap_are_fine() -> None:
    content = route(
        rule(GERMAN, QUEUE), rule(GERMAN), rule(QUEUE), rule({"kind": "class", "classifier": "c", "labels": ["simple"]})
    )
    assert problems(content, KNOWN) == []


@given(st.lists(CONDITIONS, max_size=5), FACTS)
def test_a_rule_that_is_said_never_to_fire_never_does(conditions: list[list[Mapping[str, Any]]], facts: Facts) -> None:
    content = route_of(conditions)
    for each in [*content["rules"], content["default"]]:
        each["model"] = "good"
    never = {problem.rule for problem in problems(content, KNOWN)}
    assert decide(compile_route(content), facts).rule not in never - {None}
