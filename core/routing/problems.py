"""What is wrong with a route? Pure: its content and what is known of models and classifiers in, sentences out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import regex

from core.models import ClaudeModel
from core.routing.conditions import CONDITIONS, Parameter

# A model that retires within so many days is warned of, deprecated or not.
SOON = dt.timedelta(days=90)
# What a rule's condition says of the requests it lets through, and what the model must then be capable of.
_NEEDS: tuple[tuple[str, str, tuple[str, ...], str], ...] = (
    ("has", "image", ("image_input",), "cannot read images"),
    ("has", "document", ("pdf_input",), "cannot read documents"),
)


@dataclass(frozen=True)
class Problem:
    """Why a route cannot be published, or, where it is no mistake, what is probably not meant.

    `rule` is the place of the rule it is about; None is the route itself or its default.
    """

    message: str
    rule: int | None = None
    refused: bool = True


@dataclass(frozen=True)
class Known:
    """What names stand for, and which labels each classifier has."""

    models: Mapping[str, ClaudeModel]
    aliases: Mapping[str, str]
    labels: Mapping[str, Sequence[str]]
    today: dt.date
    # Of each kind of rows that conditions name (groups, people …), those that are named and still there.
    there: Mapping[str, Collection[Any]] = field(default_factory=dict)

    def model(self, name: str) -> ClaudeModel | None:
        return self.models.get(self.aliases.get(name, name))


def problems(content: Mapping[str, Any], known: Known) -> list[Problem]:
    """All that speaks against a route's content, in the shape of `Route.content()`."""
    found = [*_default(content["default"], known)]
    rules = content["rules"]
    for place, rule in enumerate(rules):
        title = f"Rule {place + 1}"
        found += [Problem(f"{title}: {message}", place) for message in _broken(rule["conditions"], known)]
        found += [Problem(f"{title}: {message}", place, refused=False) for message in _gone(rule["conditions"], known)]
        found += _outcome(rule, known, title, place)
        if not any(problem.rule == place and problem.refused for problem in found):
            found += _lacking(rule, known, title, place)
            found += _never_reached(rules, place, title)
    return found


def _default(outcome: Mapping[str, Any], known: Known) -> Iterator[Problem]:
    if not outcome["model"]:
        yield Problem("The default has no model. It answers whatever no rule matches, so it needs one.")
    else:
        yield from _outcome(outcome, known, "The default", None)


def _outcome(outcome: Mapping[str, Any], known: Known, title: str, place: int | None) -> Iterator[Problem]:
    name = outcome["model"]
    if not name:
        yield Problem(f"{title} has no model.", place)
        return
    model = known.model(name)
    if model is None:
        yield Problem(f"{title}: «{name}» is neither a model nor an alias.", place)
        return
    if model.retired:
        yield Problem(f"{title}: {named(name, model)} no longer answers.", place)
        return
    yield from (Problem(f"{title}: {text}", place) for text in _beyond(outcome, name, model))
    if said := phasing_out(model, known.today):
        yield Problem(f"{title}: {named(name, model)} {said}.", place, refused=False)


def _beyond(outcome: Mapping[str, Any], name: str, model: ClaudeModel) -> Iterator[str]:
    """What the outcome asks for and the model has not."""
    effort, most = outcome.get("effort"), outcome.get("max_tokens")
    if effort and not model.supports("effort", effort):
        yield f"{named(name, model)} does not take the effort «{effort}»."
    if most and model.max_tokens and most > model.max_tokens:
        yield f"{named(name, model)} writes at most {model.max_tokens:,} tokens in one answer."
    if outcome.get("batch") and not model.supports("batch"):
        yield f"{named(name, model)} takes no batches."


def _lacking(rule: Mapping[str, Any], known: Known, title: str, place: int) -> Iterator[Problem]:
    """Whether the rule sends requests to a model that cannot take what its own conditions ask for."""
    model = known.model(rule["model"])
    if model is None:
        return
    for condition in rule["conditions"]:
        if condition.get("not"):
            continue
        for kind, what, capability, cannot in _NEEDS:
            if condition["kind"] == kind and what in condition["what"] and not model.supports(*capability):
                yield Problem(f"{title}: {named(rule['model'], model)} {cannot}.", place)
        least, most = condition.get("at_least") or 0, model.max_input_tokens
        if condition["kind"] == "length" and most and least > most:
            yield Problem(f"{title}: {named(rule['model'], model)} reads at most {most:,} tokens.", place)
        if condition["kind"] == "structured" and not model.supports("structured_outputs"):
            yield Problem(f"{title}: {named(rule['model'], model)} cannot answer as data.", place)


def _gone(conditions: Sequence[Mapping[str, Any]], known: Known) -> Iterator[str]:
    """Which conditions name rows that are gone; the rest of what they name still counts."""
    for stored in conditions:
        condition = CONDITIONS.get(stored.get("kind", ""))
        for parameter in condition.parameters if condition else ():
            named_there = stored.get(parameter.name) or []
            if (
                condition
                and parameter.source in known.there
                and not set(named_there) <= set(known.there[parameter.source])
            ):
                yield f"its condition «{condition.label.lower()}» names what is gone, which no request can match."


def phasing_out(model: ClaudeModel, today: dt.date) -> str:
    """That a model is deprecated or retires soon, as the rest of a sentence; "" where it is not."""
    retires = model.retires_at.date() if model.retires_at else None
    if model.retired:
        return "no longer answers"
    soon = retires is not None and retires - today <= SOON
    if model.lifecycle != ClaudeModel.Lifecycle.DEPRECATED and not soon:
        return ""
    return "is being phased out" + (f" and stops answering on {retires:%-d %B %Y}" if retires else "")


def named(name: str, model: ClaudeModel) -> str:
    return model.display_name if name == model.pk else f"«{name}» ({model.display_name})"


# --- Rules that can never fire ---


def _broken(conditions: Sequence[Mapping[str, Any]], known: Known) -> Iterator[str]:
    """Why these conditions together can never hold, or cannot be understood."""
    for condition in conditions:
        if condition.get("kind") not in CONDITIONS:
            yield f"there is no condition of the kind «{condition.get('kind')}»."
        else:
            yield from _broken_alone(condition, known)
    if not any(True for condition in conditions for _ in _broken_alone(condition, known)):
        yield from _broken_together(conditions)


def _broken_alone(stored: Mapping[str, Any], known: Known) -> Iterator[str]:
    condition = CONDITIONS.get(stored.get("kind", ""))
    if condition is None:
        return
    label = condition.label.lower()
    never, always = condition.never(stored), condition.always(stored)
    if stored.get("not"):
        never, always = always, never
    if never:
        yield f"its condition «{label}» can never hold, so the rule would never fire."
    yield from _unknown_class(stored, known)
    if stored["kind"] == "pattern" and (said := bad_pattern(stored.get("pattern", ""))):
        yield f"the regular expression cannot be read: {said}."


def _unknown_class(stored: Mapping[str, Any], known: Known) -> Iterator[str]:
    if stored["kind"] != "class":
        return
    slug = stored.get("classifier", "")
    if slug not in known.labels:
        yield f"there is no classifier «{slug}»."
        return
    for label in stored.get("labels") or []:
        if label not in known.labels[slug]:
            yield f"the classifier «{slug}» has no label «{label}»."


def bad_pattern(pattern: str) -> str:
    try:
        regex.compile(pattern)
    except regex.error as error:
        return str(error)
    return ""


def _broken_together(conditions: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for number, one in enumerate(conditions):
        for other in conditions[number + 1 :]:
            if one["kind"] == other["kind"] and _exclude(one, other):
                label = CONDITIONS[one["kind"]].label.lower()
                yield f"two conditions on «{label}» exclude each other, so the rule would never fire."


# Of these, a request has one value only; of tags and words it may have many.
_SINGLE = {"class", "prompt", "user", "key", "lane", "language", "length"}


def _exclude(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    if bool(one.get("not")) != bool(other.get("not")):
        positive, negated = (other, one) if one.get("not") else (one, other)
        return _implies(positive, {**negated, "not": False})
    if one.get("not") or one["kind"] not in _SINGLE:
        return False
    if one["kind"] == "length":
        lows = [each.get("at_least") or 0 for each in (one, other)]
        highs = [most for each in (one, other) if (most := each.get("at_most")) is not None]
        return bool(highs) and max(lows) > min(highs)
    parameters = CONDITIONS[one["kind"]].parameters
    if any(p.shape == "same" and one.get(p.name) != other.get(p.name) for p in parameters):
        return False
    return any(p.shape == "set" and not set(one[p.name]) & set(other[p.name]) for p in parameters)


def _never_reached(rules: Sequence[Mapping[str, Any]], place: int, title: str) -> Iterator[Problem]:
    """Whether an earlier rule takes every request that this one would match."""
    for earlier in range(place):
        if _covers(rules[earlier]["conditions"], rules[place]["conditions"]):
            why = "matches every request" if _always(rules[earlier]["conditions"]) else "matches all that this one does"
            yield Problem(f"{title} can never fire: rule {earlier + 1}, which comes before it, {why}.", place)
            return


def _always(conditions: Sequence[Mapping[str, Any]]) -> bool:
    return all(_holds_always(condition) for condition in conditions)


def _holds_always(stored: Mapping[str, Any]) -> bool:
    condition = CONDITIONS.get(stored.get("kind", ""))
    if condition is None:
        return False
    return condition.never(stored) if stored.get("not") else condition.always(stored)


def _covers(earlier: Sequence[Mapping[str, Any]], later: Sequence[Mapping[str, Any]]) -> bool:
    """Whether whatever fulfils `later` fulfils `earlier` too: each condition there follows from one here."""
    return all(_holds_always(wanted) or any(_implies(given, wanted) for given in later) for wanted in earlier)


def _implies(given: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a request for which `given` holds always has `wanted` hold too."""
    if given.get("kind") != wanted.get("kind") or bool(given.get("not")) != bool(wanted.get("not")):
        return False
    condition = CONDITIONS.get(given.get("kind", ""))
    if condition is None:
        return False
    # «Not A» follows from «not B» where A is the narrower one.
    narrow, wide = (wanted, given) if given.get("not") else (given, wanted)
    return all(_within(p, narrow.get(p.name), wide.get(p.name)) for p in condition.parameters)


def _within(parameter: Parameter, narrow: Any, wide: Any) -> bool:
    if parameter.shape == "set" and not parameter.required and not (narrow and wide):
        # One that may stay empty then stands for everything.
        return not wide
    return _WITHIN[parameter.shape](narrow, wide)


_WITHIN: dict[str, Callable[[Any, Any], bool]] = {
    "set": lambda narrow, wide: set(narrow or ()) <= set(wide or ()),
    "least": lambda narrow, wide: (narrow or 0) >= (wide or 0),
    "most": lambda narrow, wide: wide is None or (narrow is not None and narrow <= wide),
    "same": lambda narrow, wide: narrow == wide,
}
