"""Which rule of a route does a request match? Pure: a route and facts in, exactly one outcome out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.routing.conditions import CONDITIONS, Condition, Parameter
from core.routing.facts import Facts

Test = Callable[[Facts], bool]


@dataclass(frozen=True)
class Outcome:
    """What a rule says. `model` is an id or an alias."""

    model: str
    effort: str = ""
    max_tokens: int | None = None
    batch: bool = False

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Outcome:
        return cls(stored["model"], stored.get("effort") or "", stored.get("max_tokens"), bool(stored.get("batch")))

    def limited(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The request with an answer no longer than this allows."""
        asked = int(request["max_tokens"])
        return {**request, "max_tokens": asked if self.max_tokens is None else min(self.max_tokens, asked)}


@dataclass(frozen=True)
class Rule:
    """A rule ready to run: its tests, the cheapest first, each with its rule's place and its own as they are stored."""

    title: str
    tests: tuple[tuple[tuple[int, int], Test], ...]
    outcome: Outcome


@dataclass(frozen=True)
class Compiled:
    """A route ready to run. `classifiers` are those that its rules may ask."""

    slug: str
    name: str
    rules: tuple[Rule, ...]
    default: Outcome
    classifiers: tuple[str, ...]

    def outcomes(self) -> list[Outcome]:
        return [*(rule.outcome for rule in self.rules), self.default]


@dataclass(frozen=True)
class Decision:
    """The outcome, the place of the rule that won (None: the default), and where each rule before it failed."""

    outcome: Outcome
    rule: int | None
    # Pairs: the place of a rule that was looked at and did not match, and of its condition that did not hold.
    failed: tuple[tuple[int, int], ...]


def compile_route(content: Mapping[str, Any]) -> Compiled:
    """A route's content, in the shape of `Route.content()`, ready to run. Raises ValueError for one that cannot."""
    rules = content["rules"]
    return Compiled(
        slug=content["slug"],
        name=content["name"],
        rules=tuple(_rule(stored, place) for place, stored in enumerate(rules)),
        default=Outcome.of(content["default"]),
        classifiers=tuple(dict.fromkeys(_classifiers(rules))),
    )


def decide(route: Compiled, facts: Facts) -> Decision:
    """The first rule of which all conditions hold, or the default."""
    failed: list[tuple[int, int]] = []
    for place, rule in enumerate(route.rules):
        for where, test in rule.tests:
            if not test(facts):
                failed.append(where)
                break
        else:
            return Decision(rule.outcome, place, tuple(failed))
    return Decision(route.default, None, tuple(failed))


def _rule(stored: Mapping[str, Any], place: int) -> Rule:
    numbered = sorted(enumerate(stored["conditions"]), key=lambda each: CONDITIONS[each[1]["kind"]].dearness)
    return Rule(
        title=stored.get("name") or f"rule {place + 1}",
        tests=tuple(((place, where), test_of(condition)) for where, condition in numbered),
        outcome=Outcome.of(stored),
    )


def test_of(stored: Mapping[str, Any]) -> Test:
    """The function that says whether a stored condition holds for some facts."""
    condition = CONDITIONS[stored["kind"]]
    values = [_prepared(condition, parameter, stored.get(parameter.name)) for parameter in condition.parameters]
    test = _bound(condition.holds, values)
    return (lambda facts: not test(facts)) if stored.get("not") else test


def _prepared(condition: Condition, parameter: Parameter, value: Any) -> Any:
    """A stored value as the condition's function takes it."""
    if parameter.name in condition.prepare:
        return condition.prepare[parameter.name](value)
    return frozenset(value or ()) if parameter.shape == "set" else value


def _bound(holds: Callable[..., bool], values: Sequence[Any]) -> Test:
    """The function with its values by their places: naming them takes half as long again, and these run by hundreds."""
    if not values:
        return holds
    if len(values) == 1:
        value = values[0]
        return lambda facts: holds(facts, value)
    return lambda facts: holds(facts, *values)


def _classifiers(rules: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    return (c["classifier"] for rule in rules for c in rule["conditions"] if c["kind"] == "class")
