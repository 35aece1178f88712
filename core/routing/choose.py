"""Which model answers this request, and why?"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.models import Call
from core.routing.asking import question
from core.routing.book import Book, Questions, book, questions_of, read_anew, version_of
from core.routing.classify import Classified, Classifying
from core.routing.facts import asked_text, facts_of
from core.routing.reasons import reason_of
from core.routing.rules import Compiled, Decision, Outcome, decide

# What was set to a model, by the door that a person came by; at all others it was a prompt.
_SET_TO: Mapping[str, str] = {Call.Door.CHAT: "This chat is set to"}
# Said where a rule asks for a batch and somebody waits for the answer.
LIVE = "its rule says «send as batch», but somebody waits for this answer, so it is given at once"


class UnknownModelError(LookupError):
    """No model, alias or route of that name can be used; `name` is what was asked for."""

    def __init__(self, name: str) -> None:
        super().__init__(f"model: {name}")
        self.name = name


@dataclass(frozen=True)
class Plan:
    """What a name leads to: every model that can come to answer, before a rule or classifier has decided.

    The reservation at intake takes the dearest of them, and a key must be allowed all of them. Kept with the call
    (`as_json` in `Call.routing`), so that a route or an alias that is changed meanwhile does not lead it elsewhere than
    what was reserved for it.
    """

    asked: str
    models: tuple[str, ...]
    # The version of the route and its digest, where a route was asked for.
    version: int | None = None
    digest: str = ""
    # What each name in it stands for.
    names: Mapping[str, str] = field(default_factory=dict)
    classifiers: tuple[Questions, ...] = ()

    def besides(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The Messages requests to classifiers that may be sent before this one is: they are paid for as well."""
        text = asked_text(request)
        return [
            question(each.content, self.names[each.content["model"]], text, characters)
            for each in self.classifiers
            if each.content["model"] in self.names
            for characters in {each.content["characters"], each.content["more_characters"]} - {0}
        ]

    def as_json(self) -> dict[str, Any]:
        kept: dict[str, Any] = {"asked": self.asked, "names": dict(self.names)}
        if self.version is not None:
            classifiers = {each.slug: each.digest for each in self.classifiers}
            kept |= {"version": self.version, "digest": self.digest, "classifiers": classifiers}
        return kept


@dataclass(frozen=True)
class Choice:
    """A model, the reason in a sentence that a person understands, and what the rule says besides."""

    model: str
    reason: str
    effort: str = ""
    max_tokens: int | None = None
    batch: bool = False
    # For `Call.routing`: which rules were looked at, and what classifiers said.
    routing: dict[str, Any] | None = None

    def apply(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The request as it is sent."""
        changed: dict[str, Any] = {**request, "model": self.model}
        if self.effort:
            changed["output_config"] = {**(request.get("output_config") or {}), "effort": self.effort}
        if self.max_tokens is not None:
            changed["max_tokens"] = min(self.max_tokens, int(request["max_tokens"]))
        return changed


def plan(asked: str, now: Book | None = None) -> Plan:
    """What `asked` (a model's id, an alias, or a route's short name) can lead to. Raises `UnknownModelError`.

    `now` is what is in force, where the caller has read that for this very request already.
    """
    found = _planned(asked, now or book()) or _planned(asked, read_anew())
    if found is None:
        raise UnknownModelError(asked)
    return found


def choose(call: Call, request: Mapping[str, Any], unavailable: Callable[[str], bool] = lambda _model: False) -> Choice:
    """The model for a Messages request of this call; `request` is as it came, with what was asked for as its model.

    `unavailable` says whether a model is known not to answer at the moment: no classifier asks it then. A call that is
    tried again keeps what was chosen for it. What stands for nothing any more is sent as it is: Claude says so best.
    """
    asked, kept = str(request["model"]), call.routing
    if kept is None and _is_fixed(call, asked):
        return Choice(asked, "This prompt is set to this model.")
    if kept is None:
        kept = _plan_now(asked)
    if "chosen" in kept:
        return Choice(**kept["chosen"], reason=call.reason, routing=kept)
    route = version_of(kept["version"], kept["digest"]) if "version" in kept else None
    if route is None:
        return _named(call, kept)
    return _by_rules(call, request, route, kept, unavailable)


def models_of(kept: Mapping[str, Any]) -> tuple[str, ...]:
    """The models that may answer a call which keeps its plan so; those of its classifiers are not among them."""
    route = version_of(kept["version"], kept["digest"]) if "version" in kept else None
    named = kept["names"] if route is None else [outcome.model for outcome in route.outcomes()]
    return tuple(dict.fromkeys(kept["names"][name] for name in named if name in kept["names"]))


def _planned(asked: str, book: Book) -> Plan | None:
    if (model := book.model_of(asked)) is not None:
        return Plan(asked, (model,), names={asked: model})
    in_force = book.routes.get(asked)
    if in_force is None:
        return None
    route = in_force.route
    classifiers = tuple(book.classifiers[slug] for slug in route.classifiers if slug in book.classifiers)
    named = [outcome.model for outcome in route.outcomes()]
    names = {name: model for name in named if (model := book.model_of(name)) is not None}
    # A rule whose model has gone falls back to the default; without that, there is nobody to answer.
    if route.default.model not in names:
        return None
    models = tuple(dict.fromkeys(names.values()))
    for each in classifiers:
        if (model := book.model_of(each.content["model"])) is not None:
            names[each.content["model"]] = model
    return Plan(asked, models, in_force.version, in_force.digest, names, classifiers)


def _plan_now(asked: str) -> dict[str, Any]:
    try:
        return plan(asked).as_json()
    except UnknownModelError:
        return {"asked": asked, "names": {}}


def _is_fixed(call: Call, asked: str) -> bool:
    """Whether a prompt's version names this very model, so that there is nothing to look up."""
    version = call.version
    return version is not None and not version.route_id and not version.alias_id and version.model_id == asked


def _named(call: Call, kept: Mapping[str, Any]) -> Choice:
    """A model that was named itself, or by its alias."""
    asked = kept["asked"]
    model = kept["names"].get(asked, asked)
    who = "The program asked for" if call.key_id else _SET_TO.get(call.door, "This prompt is set to")
    return Choice(model, f"{who} this model." if model == asked else f"{who} «{asked}», which stands for {model}.")


def _by_rules(
    call: Call,
    request: Mapping[str, Any],
    route: Compiled,
    kept: dict[str, Any],
    unavailable: Callable[[str], bool],
) -> Choice:
    classifying = Classifying(
        call,
        asked_text(request),
        questions=lambda slug: questions_of(slug, kept.get("classifiers", {}).get(slug, "")),
        model_of=kept["names"].get,
        unavailable=unavailable,
        forbidden=kept.get("forbidden", ""),
    )
    decision = decide(route, facts_of(call, request, route.slug, classifying.class_of))
    outcome, gone = usable(decision.outcome, route, kept["names"])
    known = classifying.known
    reason = reason_of(route, decision, known, gone=gone, more=waits_not(outcome, call))
    chosen = {
        "model": kept["names"][outcome.model],
        "effort": outcome.effort,
        "max_tokens": outcome.max_tokens,
        "batch": outcome.batch,
    }
    return Choice(**chosen, reason=reason, routing={**kept, **_trace(decision, known), "chosen": chosen})


def usable(outcome: Outcome, route: Compiled, names: Container[str]) -> tuple[Outcome, str]:
    """The outcome, or the route's default and the name that stands for no model any more."""
    return (outcome, "") if outcome.model in names else (route.default, outcome.model)


def goes_in_a_batch(outcome: Outcome, call: Call) -> bool:
    """Whether the request goes to Claude at the price of a batch: it came in one, or may wait and its rule says so."""
    return call.lane == Call.Lane.BATCH or (outcome.batch and call.may_join_a_batch)


def waits_not(outcome: Outcome, call: Call) -> str:
    """What the reason says besides where a rule asks for a batch and somebody waits for the answer."""
    return LIVE if outcome.batch and not goes_in_a_batch(outcome, call) else ""


def _trace(decision: Decision, known: Mapping[str, Classified]) -> dict[str, Any]:
    return {
        "rule": decision.rule,
        "failed": [list(pair) for pair in decision.failed],
        "classes": {slug: classified.as_json() for slug, classified in known.items()},
    }
