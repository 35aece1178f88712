"""What can a rule ask of a request? Each kind of condition is one small function and one entry below.

A stored condition is {"kind": …} with the parameters of its kind, and {"not": true} where it must not hold. To add a
kind, write its function and its entry: the editor's form, the checks for rules that cannot fire and the reasons that
people read are all made from what the entry says.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import regex

from core.routing.facts import Facts
from core.routing.languages import LANGUAGES

# Seconds that one regular expression may take for one request; longer counts as not found.
PATTERN_TIME = 0.05
# Characters of a request that a regular expression sees.
PATTERN_READS = 50_000
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LANES = (("sync", "At once"), ("stream", "Stream"), ("queue", "Queue"), ("batch", "Batch"))
HELD = (("image", "an image"), ("document", "a document"), ("tools", "tools"))
# How dear it is to find out: at once, a little computing, a query, a question to Claude.
AT_ONCE, COMPUTED, QUERIED, ASKED = range(4)


@dataclass(frozen=True)
class Parameter:
    """One value of a condition. `shape` says how it is stored, compared and typed in:

    `set`: a list of which one must fit; `least` and `most`: bounds of a range; `same`: compared as it is.
    `source` names where a set's choices come from: a table of ours, or `choices`; without either it is free text.
    """

    name: str
    label: str
    shape: str = "set"
    source: str = ""
    choices: tuple[tuple[Any, str], ...] = ()
    kind: type = str
    required: bool = True
    help: str = ""


@dataclass(frozen=True)
class Condition:
    label: str
    holds: Callable[..., bool]
    parameters: tuple[Parameter, ...]
    # The sentence after «when»; parameters come as the text that people know them by.
    sentence: str
    dearness: int = AT_ONCE
    # Whether these parameters can never, or must always hold.
    never: Callable[[Mapping[str, Any]], bool] = lambda _parameters: False
    always: Callable[[Mapping[str, Any]], bool] = lambda _parameters: False
    # Stored values as the function takes them, where they differ.
    prepare: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)


# --- One function each: the facts and the parameters in, yes or no out ---


def _class(facts: Facts, classifier: str, labels: frozenset[str]) -> bool:
    return facts.class_of(classifier) in labels


def _prompt(facts: Facts, prompts: frozenset[int]) -> bool:
    return facts.prompt in prompts


def _tag(facts: Facts, tags: frozenset[str]) -> bool:
    return not tags.isdisjoint(facts.tags())


def _user(facts: Facts, users: frozenset[int]) -> bool:
    return facts.user in users


def _group(facts: Facts, groups: frozenset[int]) -> bool:
    return not groups.isdisjoint(facts.groups())


def _key(facts: Facts, keys: frozenset[int]) -> bool:
    return facts.key in keys


def _lane(facts: Facts, lanes: frozenset[str]) -> bool:
    return facts.lane in lanes


def _language(facts: Facts, languages: frozenset[str]) -> bool:
    return facts.language() in languages


def _length(facts: Facts, at_least: int | None = None, at_most: int | None = None) -> bool:
    tokens = facts.input_tokens()
    return (at_least or 0) <= tokens and (at_most is None or tokens <= at_most)


def _has(facts: Facts, what: frozenset[str]) -> bool:
    return not what.isdisjoint(facts.holds)


def _structured(facts: Facts) -> bool:
    return facts.structured


def _words(facts: Facts, words: Words) -> bool:
    if not words.single.isdisjoint(facts.words):
        return True
    return bool(words.phrases) and any(
        start in facts.folded and phrase.search(facts.folded) for start, phrase in words.phrases
    )


def _pattern(facts: Facts, pattern: Any) -> bool:
    try:
        return pattern.search(facts.text, 0, PATTERN_READS, timeout=PATTERN_TIME) is not None
    except TimeoutError:
        return False


def _time(facts: Facts, start: dt.time, end: dt.time, days: frozenset[int]) -> bool:
    """From `start` up to `end`; where `end` is not later, through midnight, counted for the day it began on."""
    now, today = facts.at.time(), facts.at.weekday()
    if start < end:
        return start <= now < end and today in days
    return today in days if now >= start else now < end and (today - 1) % 7 in days


def _share(facts: Facts, percent: float) -> bool:
    """The same callers each time, and with a greater share the same ones and more."""
    return _place(facts.route, facts.caller) < percent


def _budget(facts: Facts, percent: float) -> bool:
    left = facts.budget_left()
    return left is not None and left * 100 < percent


# --- What the functions need ---


@lru_cache(maxsize=4096)
def _place(route: str, caller: str) -> float:
    """Where a caller stands between 0 and 100."""
    digest = hashlib.sha256(f"{route}\n{caller}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 * 100


@dataclass(frozen=True)
class Words:
    """Single words, which are looked up, and the rest, which is searched for if its beginning is there at all."""

    single: frozenset[str]
    phrases: tuple[tuple[str, re.Pattern[str]], ...]


def any_word(words: list[str]) -> Words:
    """Finds whole words or phrases in folded text; any white space stands for any other."""
    folded = [parts for word in words if (parts := word.casefold().split())]
    single = [parts[0] for parts in folded if len(parts) == 1 and re.fullmatch(r"\w+", parts[0])]
    phrases = [parts for parts in folded if parts[0] not in single or len(parts) > 1]
    return Words(frozenset(single), tuple((parts[0], _phrase(parts)) for parts in phrases))


def _phrase(parts: list[str]) -> re.Pattern[str]:
    between = r"\s+".join(map(re.escape, parts))
    return re.compile(rf"(?<!\w){between}(?!\w)")


def _clock(text: str) -> dt.time:
    return dt.time.fromisoformat(text)


def _every_day(days: list[int] | None) -> frozenset[int]:
    return frozenset(days or range(7))


def _empty(name: str) -> Callable[[Mapping[str, Any]], bool]:
    return lambda parameters: not parameters.get(name)


def _empty_range(parameters: Mapping[str, Any]) -> bool:
    most = parameters.get("at_most")
    return most is not None and most < (parameters.get("at_least") or 0)


def _one(name: str, label: str, **more: Any) -> tuple[Parameter]:
    return (Parameter(name, label, **more),)


CONDITIONS: dict[str, Condition] = {
    "class": Condition(
        "Class",
        _class,
        (
            Parameter("classifier", "Classifier", "same", source="classifiers"),
            Parameter("labels", "Labels", source="labels", help="Any of these."),
        ),
        "the class by {classifier} is {labels}",
        dearness=ASKED,
        never=_empty("labels"),
    ),
    "prompt": Condition(
        "Prompt", _prompt, _one("prompts", "Prompts", source="prompts", kind=int),
        "the prompt is {prompts}", never=_empty("prompts"),
    ),
    "tag": Condition(
        "Tag of the prompt", _tag, _one("tags", "Tags", help="Separated by commas. Any of these."),
        "the prompt has the tag {tags}", dearness=QUERIED, never=_empty("tags"),
    ),
    "user": Condition(
        "Person", _user, _one("users", "People", source="users", kind=int),
        "the person is {users}", never=_empty("users"),
    ),
    "group": Condition(
        "Group", _group, _one("groups", "Groups", source="groups", kind=int),
        "the group is {groups}", dearness=QUERIED, never=_empty("groups"),
    ),
    "key": Condition(
        "Key", _key, _one("keys", "Keys", source="keys", kind=int), "the key is {keys}", never=_empty("keys")
    ),
    "lane": Condition(
        "Lane", _lane, _one("lanes", "Lanes", choices=LANES), "the lane is {lanes}",
        never=_empty("lanes"), always=lambda parameters: len(set(parameters.get("lanes", ()))) == len(LANES),
    ),
    "language": Condition(
        "Language", _language, _one("languages", "Languages", choices=LANGUAGES),
        "the language is {languages}", dearness=COMPUTED, never=_empty("languages"),
    ),
    "length": Condition(
        "Length of the input",
        _length,
        (
            Parameter("at_least", "At least, in tokens", "least", kind=int, required=False),
            Parameter("at_most", "At most, in tokens", "most", kind=int, required=False),
        ),
        "the input has {at_least} to {at_most} tokens",
        dearness=COMPUTED,
        never=_empty_range,
        always=lambda parameters: not parameters.get("at_least") and parameters.get("at_most") is None,
    ),
    "has": Condition(
        "Image, document or tools", _has, _one("what", "Has", choices=HELD), "it has {what}", never=_empty("what")
    ),
    "structured": Condition("Answer as data", _structured, (), "the answer must be data by a schema"),
    "words": Condition(
        "Words", _words, _one("words", "Words or phrases", help="Separated by commas. Any of these, as whole words."),
        "it has the words {words}", dearness=COMPUTED, never=_empty("words"), prepare={"words": any_word},
    ),
    "pattern": Condition(
        "Regular expression", _pattern, _one("pattern", "Regular expression", shape="same"),
        "it matches {pattern}", dearness=COMPUTED, never=_empty("pattern"), prepare={"pattern": regex.compile},
    ),
    "time": Condition(
        "Time of day",
        _time,
        (
            Parameter("start", "From", "same", kind=dt.time),
            Parameter("end", "Until", "same", kind=dt.time, help="Not later than «from»: through midnight."),
            Parameter("days", "Days", choices=tuple(enumerate(DAYS)), kind=int, required=False, help="None: all."),
        ),
        "the time is {start} to {end} on {days}",
        prepare={"start": _clock, "end": _clock, "days": _every_day},
        always=lambda parameters: parameters.get("start") == parameters.get("end")
        and len(_every_day(parameters.get("days"))) == len(DAYS),
    ),
    "share": Condition(
        "Share of the callers", _share,
        _one("percent", "Percent of callers", shape="most", kind=float, help="The same callers each time."),
        "the caller is among {percent} % of all", never=lambda parameters: float(parameters.get("percent") or 0) <= 0,
        always=lambda parameters: float(parameters.get("percent") or 0) >= 100,
    ),
    "budget": Condition(
        "Budget left", _budget, _one("percent", "Less than so many percent left", shape="most", kind=float),
        "less than {percent} % of a budget is left", dearness=QUERIED,
        never=lambda parameters: float(parameters.get("percent") or 0) <= 0,
    ),
}  # fmt: skip
