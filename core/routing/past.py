"""What is known of past calls: what they used and cost, whose they were, which class they had?"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, TypeVar

from django.utils import timezone

from core.claude.usage import Usage, read_usage
from core.costs import statements
from core.costs.compute import compute
from core.costs.estimate import approximate_tokens
from core.costs.prices import rates_of
from core.costs.statements import PriceRow
from core.models import Call, ClassifiedInput, CostRecord, Key, User
from core.models.catalogue import band_for, bands_on
from core.routing.asking import digest_of_input, question
from core.routing.book import Questions
from core.routing.facts import asked_text

T = TypeVar("T")
NOTHING = Decimal(0)
# Tokens of a classifier's answer, which is a label and a yes or no.
OF_A_LABEL = 15
# Rows that one statement asks for.
AT_ONCE = 1000


@dataclass(frozen=True)
class Spent:
    """What a call cost in all, its answer alone, and what its last answer used. Amounts in USD, None for unknown."""

    amount: Decimal | None = None
    answer: Decimal | None = None
    usage: Usage | None = None


def spent_by(calls: Sequence[Call]) -> dict[uuid.UUID, Spent]:
    """What each of these calls spent; one that has no record is not in it."""
    found: dict[uuid.UUID, list[CostRecord]] = {}
    columns = ("call_id", "purpose", "amount", "corrects_id", "raw_usage", "at")
    for some in _parts(calls):
        records = CostRecord.objects.filter(call__in=[call.pk for call in some]).only(*columns)
        for record in records.order_by("at", "pk"):
            found.setdefault(record.call_id, []).append(record)
    return {pk: _spent(records) for pk, records in found.items()}


def _spent(records: Sequence[CostRecord]) -> Spent:
    answers = [record for record in records if record.purpose == CostRecord.Purpose.ANSWER]
    usages = [record.raw_usage for record in answers if record.raw_usage]
    return Spent(_sum(records), _sum(answers), read_usage(usages[-1]) if usages else None)


def _sum(records: Sequence[CostRecord]) -> Decimal | None:
    """Corrections carry differences, so that all are summed; None while one is unknown and not put right."""
    corrected = {record.corrects_id for record in records}
    if any(record.amount is None and record.pk not in corrected for record in records):
        return None
    return sum((record.amount for record in records if record.amount is not None), NOTHING)


class Groups:
    """The groups that count for each call: two queries for all of them, and none where no rule asks."""

    def __init__(self) -> None:
        self._of_keys: dict[int, set[int]] = {}
        self._of_users: dict[int, set[int]] | None = None

    def of(self, call: Call) -> frozenset[int]:
        if self._of_users is None:
            self._of_keys = _pairs(Key.groups.through, "key_id")
            self._of_users = _pairs(User.groups.through, "user_id")
        of_key = self._of_keys.get(call.key_id or 0)
        return frozenset(of_key or self._of_users.get(call.user_id or 0, set()))


def _pairs(table: Any, column: str) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for owner, group in table.objects.values_list(column, "group_id"):
        found.setdefault(owner, set()).add(group)
    return found


def known_classes(questions: Mapping[str, Questions], calls: Sequence[Call]) -> dict[tuple[uuid.UUID, str], str]:
    """The label that each call had, by classifier: what was said of it then, or of the same input since."""
    found: dict[tuple[uuid.UUID, str], str] = {}
    for slug, asked in questions.items():
        labels = set(asked.labels)
        wanted: dict[str, list[uuid.UUID]] = {}
        for call in calls:
            said = ((call.routing or {}).get("classes") or {}).get(slug)
            if said and not said["why"] and said["label"] in labels:
                found[call.pk, slug] = said["label"]
            else:
                digest = digest_of_input(asked.digest, asked_text(call.request), asked.content)
                wanted.setdefault(digest, []).append(call.pk)
        for digest, label in _remembered(list(wanted)):
            found.update(((pk, slug), label) for pk in wanted[digest])
    return found


def _remembered(digests: Sequence[str]) -> Iterator[tuple[str, str]]:
    for some in _parts(digests):
        yield from ClassifiedInput.objects.filter(pk__in=some).values_list("pk", "label")


class Tokens:
    """What tokens cost today; each model's prices are read once."""

    def __init__(self) -> None:
        self._bands: dict[tuple[str, str], list[PriceRow]] = {}
        self._questions: dict[tuple[str, int], Decimal | None] = {}
        self._today = timezone.now().date()

    def price(self, model: str, usage: Usage, output: int) -> Decimal | None:
        """The same input with so many tokens of output, or None where the price book does not say."""
        key = (model, usage.speed)
        if key not in self._bands:
            self._bands[key] = bands_on(statements.prices(model, usage.speed), self._today)
        price = band_for(self._bands[key], usage.whole_input)
        return compute(replace(usage, output=output), rates_of(price)).amount if price else None

    def price_of_question(
        self, asked: Questions, model: str | None, text: str, *, again: bool = False
    ) -> Decimal | None:
        """What one question to a classifier costs, about; with `again`, the second one, where it may come to that."""
        most, more = int(asked.content["characters"]), int(asked.content["more_characters"])
        length = len(text.strip())
        if model is None or (again and not (more > most and length > most)):
            # Nobody would be asked.
            return NOTHING
        key = (asked.digest, min(length, more if again else most))
        if key not in self._questions:
            self._questions[key] = self._question(asked, model, key[1])
        return self._questions[key]

    def _question(self, asked: Questions, model: str, characters: int) -> Decimal | None:
        tokens = approximate_tokens(question(asked.content, model, "x" * characters, characters))
        return self.price(model, Usage(tokens, 0), OF_A_LABEL)


def _parts(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(rows), AT_ONCE):
        yield rows[start : start + AT_ONCE]
