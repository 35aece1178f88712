"""What would have become of past calls with another version of a route?

Nothing is sent: each call's request is looked at again, with the classes that are known of it, and the tokens that it
used are priced at the other model's rates.
"""

from __future__ import annotations

import copy
import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from core.claude.usage import Usage
from core.models import Call, Prompt
from core.routing.book import Book, Questions, book
from core.routing.choose import goes_in_a_batch, usable
from core.routing.facts import Facts, asked_text, facts_of
from core.routing.past import Groups, Spent, Tokens, known_classes, spent_by
from core.routing.rules import Compiled, Outcome, compile_route, decide

NOTHING = Decimal(0)
# Another model's answer may be shorter or longer than the one that was given; by so much at most, for the range.
SHORTER, AS_LONG, LONGER = Decimal("0.5"), Decimal(1), Decimal(2)
# The tokens of a question to a classifier are guessed from its characters, by so much at most too many or too few.
CHEAPER, DEARER = Decimal("0.75"), Decimal("1.25")
MOST_CHANGED = 10
# Rows of these columns are read, and no answers: those can be long.
_COLUMNS = ("id", "created_at", "user_id", "key_id", "prompt_id", "door", "lane", "model", "request", "routing")


@dataclass(frozen=True)
class Change:
    """One call, and which model would have answered it. Amounts in USD; None where a price is not known."""

    call: Call
    before: str
    after: str
    cost: Decimal | None
    likely: Decimal | None
    low: Decimal | None
    high: Decimal | None

    @property
    def changed(self) -> bool:
        return self.before != self.after

    @property
    def difference(self) -> Decimal | None:
        return None if self.cost is None or self.likely is None else self.likely - self.cost


@dataclass
class WhatIf:
    """What came of it, over `looked_at` calls."""

    looked_at: int = 0
    moves: Counter[tuple[str, str]] = field(default_factory=Counter)
    cost: Decimal = NOTHING
    likely: Decimal = NOTHING
    low: Decimal = NOTHING
    high: Decimal = NOTHING
    # Calls whose cost, before or after, is not known; they are in no sum.
    unpriced: int = 0
    # Calls whose class a rule looked at and nobody knows, with the classifier to ask; its default label stood for it.
    missing: list[tuple[Call, Questions]] = field(default_factory=list)
    # The calls that would change, the greatest difference first.
    changes: list[Change] = field(default_factory=list)

    @property
    def changed(self) -> int:
        return len(self.changes)

    @property
    def most(self) -> list[Change]:
        return self.changes[:MOST_CHANGED]

    @property
    def difference(self) -> tuple[Decimal, Decimal, Decimal]:
        """By how much the cost would change: at least, likely, at most."""
        return self.low - self.cost, self.likely - self.cost, self.high - self.cost

    def add(self, change: Change) -> None:
        self.looked_at += 1
        if change.changed:
            self.moves[change.before, change.after] += 1
            self.changes.append(change)
        if None in (change.cost, change.likely, change.low, change.high):
            self.unpriced += 1
            return
        self.cost += change.cost or NOTHING
        self.likely += change.likely or NOTHING
        self.low += change.low or NOTHING
        self.high += change.high or NOTHING


def past_calls(
    since: dt.datetime, until: dt.datetime, prompt: Prompt | None = None, asked: Sequence[str] = ()
) -> QuerySet[Call]:
    """The answered calls of a time: of a prompt, and, with `asked`, those that asked for one of these names."""
    calls = Call.objects.filter(created_at__gte=since, created_at__lt=until, status=Call.Status.SUCCEEDED)
    calls = calls.exclude(door=Call.Door.TRY).filter(kept_from=None, written=False).exclude(model="")
    if prompt is not None:
        calls = calls.filter(prompt=prompt)
    return calls.filter(request__model__in=asked) if asked else calls


def sample_of(calls: QuerySet[Call], most: int) -> list[Call]:
    """At most so many of them. Ids are random, so the first of them are a sample over all, the same one each time."""
    return list(calls.only(*_COLUMNS).order_by("pk")[:most])


def what_if(content: Mapping[str, Any], calls: Sequence[Call]) -> WhatIf:
    """Run a route's content over past calls."""
    run, found = _Run(compile_route(content), book(), calls), WhatIf()
    for call in calls:
        found.add(run.change(call))
    found.missing = run.missing
    found.changes.sort(key=lambda each: -abs(each.difference or NOTHING))
    return found


class _Run:
    """A route over many calls: what they have in common is read once."""

    def __init__(self, route: Compiled, in_force: Book, calls: Sequence[Call]) -> None:
        self.route, self.book = route, in_force
        self.spent = spent_by(calls)
        questions = {slug: in_force.classifiers[slug] for slug in route.classifiers if slug in in_force.classifiers}
        self.questions = questions
        self.classes = known_classes(questions, calls)
        self.names = {each.model for each in route.outcomes() if in_force.model_of(each.model)}
        self.groups = Groups()
        self.tags = {prompt.pk: frozenset(prompt.tag_list()) for prompt in Prompt.objects.exclude(tags="")}
        self.tokens = Tokens()
        self.missing: list[tuple[Call, Questions]] = []

    def change(self, call: Call) -> Change:
        """What would become of one call."""
        asked: list[Questions] = []
        came = _as_it_came(call)
        outcome, _ = usable(decide(self.route, self._facts(came, asked)).outcome, self.route, self.names)
        model = self.book.model_of(outcome.model) or ""
        spent = self.spent.get(call.pk, Spent())
        cheap, usual, dear = self._of_questions(asked_text(call.request) if asked else "", asked)
        likely, low, high = (
            self._amount(came, model, outcome, spent, factor, besides)
            for factor, besides in ((AS_LONG, usual), (SHORTER, cheap), (LONGER, dear))
        )
        return Change(call, call.model, model, spent.amount, likely, low, high)

    def _facts(self, call: Call, asked: list[Questions]) -> Facts:
        facts = facts_of(call, call.request, self.route.slug, lambda slug: self._class_of(call, slug, asked))
        facts.at = timezone.localtime(call.created_at)
        facts.groups = lambda: self.groups.of(call)
        facts.tags = lambda: self.tags.get(call.prompt_id or 0, frozenset())
        # How full a budget was then is not known; all of it counts as left.
        facts.budget_left = lambda: None
        return facts

    def _class_of(self, call: Call, slug: str, asked: list[Questions]) -> str:
        questions = self.questions.get(slug)
        if questions is None:
            return ""
        if questions in asked:
            return self.classes.get((call.pk, slug), questions.default_label)
        asked.append(questions)
        if (call.pk, slug) not in self.classes:
            self.missing.append((call, questions))
        return self.classes.get((call.pk, slug), questions.default_label)

    def _of_questions(self, text: str, asked: Sequence[Questions]) -> tuple[Decimal | None, ...]:
        """What asking classifiers costs: at least, likely, and at most, where each is unsure and asks once more."""
        once, again = (
            [
                self.tokens.price_of_question(each, self.book.model_of(each.content["model"]), text, again=again)
                for each in asked
            ]
            for again in (False, True)
        )
        if None in (*once, *again):
            return None, None, None
        usual, second = (sum((amount or NOTHING for amount in amounts), NOTHING) for amounts in (once, again))
        return usual * CHEAPER, usual, (usual + second) * DEARER

    def _amount(
        self,
        call: Call,
        model: str,
        outcome: Outcome,
        spent: Spent,
        factor: Decimal,
        besides: Decimal | None,
    ) -> Decimal | None:
        """The cost with this model, its answer `factor` times as long, and of the questions asked before."""
        if spent.usage is None or not model or besides is None:
            return None
        usage = _priced_as(spent.usage, goes_in_a_batch(outcome, call))
        same = call.model == model
        limits = [limit for limit in (outcome.max_tokens, call.request.get("max_tokens")) if limit]
        output = min([int(usage.output * (AS_LONG if same else factor)), *map(int, limits)])
        if same and usage is spent.usage and output == usage.output:
            amount = spent.answer
        else:
            amount = self.tokens.price(model, usage, output)
        return None if amount is None else amount + besides


def _as_it_came(call: Call) -> Call:
    """A call that went in a batch because its route said so came to the queue; rules are asked about that."""
    chosen = (call.routing or {}).get("chosen") or {}
    if call.lane != Call.Lane.BATCH or call.door not in Call.PATIENT_DOORS or not chosen.get("batch"):
        return call
    came = copy.copy(call)
    came.lane = Call.Lane.QUEUE
    return came


def _priced_as(usage: Usage, batch: bool) -> Usage:
    """The same tokens at the price of a batch, or not; itself where that is what they were billed at."""
    if batch == (usage.service_tier == "batch"):
        return usage
    return replace(usage, service_tier="batch" if batch else "standard")
