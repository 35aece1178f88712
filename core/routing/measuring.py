"""How often is a classifier right, what does it mistake for what, and what do a thousand questions take?"""

from __future__ import annotations

import csv
import io
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from django.db import transaction

from core.costs import budgets
from core.costs.ledger import settle
from core.models import Call, Classifier, LabelledExample, Measurement, User
from core.models.prompts import digest_of
from core.routing.asking import question
from core.routing.book import Questions, book
from core.routing.classify import LOST_BEFORE, Classified, Classifying
from core.routing.trying import LONGEST

# So many examples are asked about in one go: whoever measures waits for it.
MOST = 100
SECONDS = 90.0
LONGEST_TEXT = 20_000
ENDED = "A classifier was measured; no model answered."
THOUSAND = 1000


@dataclass(frozen=True)
class Figures:
    """What a measurement says. `rows` are the right labels with how often each label was said, by label."""

    count: int
    accuracy: float
    labels: list[str]
    rows: list[tuple[str, list[tuple[str, int]]]]
    usd_per_thousand: Decimal | None
    seconds_per_thousand: float


class UnusableTableError(ValueError):
    """A table that is no list of texts with labels; the message says why."""


def figures_of(measured: Measurement) -> Figures:
    counts = {(right, said): number for right, said, number in measured.pairs}
    total = sum(counts.values())
    known = [label["name"] for label in measured.content["labels"]]
    said = [*known, *sorted({said for _, said in counts} - set(known))]
    right = [*known, *sorted({right for right, _ in counts} - set(known))]
    return Figures(
        count=total,
        accuracy=sum(number for (one, other), number in counts.items() if one == other) / total if total else 0.0,
        labels=said,
        rows=[(one, [(other, counts.get((one, other), 0)) for other in said]) for one in right],
        usd_per_thousand=None if measured.cost is None or not total else measured.cost / total * THOUSAND,
        seconds_per_thousand=measured.seconds / total * THOUSAND if total else 0.0,
    )


def measure(classifier: Classifier, by: User, unavailable: Callable[[str], bool]) -> Measurement | None:
    """Ask about the newest examples, each anew; None where there is nothing to ask.

    Raises `OverBudgetError` where the budgets of `by`, who measures, have no room for it.
    """
    content = classifier.content()
    model = book().model_of(content["model"])
    examples = list(classifier.labelled.all()[:MOST])
    if model is None or not examples:
        return None
    asked = Questions(content, digest_of(content))
    most = max(content["characters"], content["more_characters"])
    call = _call([question(content, model, example.text, most) for example in examples], by)
    pairs: Counter[tuple[str, str]] = Counter()
    begun = time.monotonic()
    try:
        for example in examples:
            if time.monotonic() - begun > SECONDS:
                break
            said = _said(call, asked, example, unavailable)
            # One whose answer was lost is the last: the others would not be asked.
            if said.why == LOST_BEFORE:
                break
            pairs[example.label, said.label] += 1
    finally:
        answer: dict[str, Any] = {"content": [], "envelope": None, "stop_reason": "", "request_id": "", "model": ""}
        settle(call, None, partial(call.succeed, {**answer, "text": ENDED}))
    return Measurement.objects.create(
        classifier=classifier,
        by=by,
        call=call,
        content=content,
        pairs=[[right, said, number] for (right, said), number in pairs.items()],
        seconds=time.monotonic() - begun,
        cost=call.cost,
    )


def _said(call: Call, asked: Questions, example: LabelledExample, unavailable: Callable[[str], bool]) -> Classified:
    """The label that it gives, also where that is the default one because it gave none."""
    known: Mapping[str, Questions] = {asked.slug: asked}
    classifying = Classifying(call, example.text, known.get, book().model_of, unavailable, anew=True)
    classifying.class_of(asked.slug)
    return classifying.known[asked.slug]


def _call(questions: Sequence[dict[str, Any]], by: User) -> Call:
    with transaction.atomic():
        call = Call.objects.create(user=by, door=Call.Door.TRY, lane=Call.Lane.SYNC, request=questions[0])
        # Each may be asked a second time, with more of the text.
        budgets.reserve(call, besides=[*questions[1:], *questions])
        taken = Call.objects.claim(call.pk, LONGEST)
    if taken is None:
        raise RuntimeError(f"call {call.pk} was taken by another process")
    return taken


def add_examples(classifier: Classifier, table: str, by: User) -> int:
    """Add a CSV of two columns, the text and its label; answers how many. Raises `UnusableTableError`."""
    labels = {label.name for label in classifier.labels.all()}
    rows = [row for row in csv.reader(io.StringIO(table)) if any(cell.strip() for cell in row)]
    if rows and [cell.strip().lower() for cell in rows[0]] == ["text", "label"]:
        rows = rows[1:]
    for number, row in enumerate(rows, 1):
        if len(row) != 2:
            raise UnusableTableError(f"Row {number} has {len(row)} columns; it needs two, the text and its label.")
        if row[1].strip() not in labels:
            raise UnusableTableError(f"Row {number}: «{row[1].strip()}» is no label of this classifier.")
    LabelledExample.objects.bulk_create(
        LabelledExample(classifier=classifier, text=text[:LONGEST_TEXT], label=label.strip(), created_by=by)
        for text, label in rows
    )
    return len(rows)
