"""What is in the price book, and how do the published prices get there?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from django.db import transaction
from django.utils import timezone

from core.costs.compute import Rates
from core.costs.published import SOURCE, STANDARD, Entry, Place, Published, published_prices
from core.costs.statements import PriceRow
from core.models import ClaudeModel, Price, User


@dataclass(frozen=True)
class Change:
    """What loading one entry would do.

    `before` is the entry that it would replace, if any. `of_existing` says that the book has a price for this model
    and speed already, so that what people are charged would change.
    """

    entry: Entry
    before: Price | None
    of_existing: bool

    def __str__(self) -> str:
        speed = "" if self.entry.speed == STANDARD else f" in {self.entry.speed} mode"
        band = f" above {self.entry.above_input_tokens:,} tokens" if self.entry.above_input_tokens else ""
        old = rates_of(self.before) if self.before else None
        return f"{self.entry.model_id}{speed} from {self.entry.valid_from}{band}: {difference(old, self.entry.rates)}"


def rates_of(price: Price | PriceRow) -> Rates:
    return Rates(**{item.name: getattr(price, item.name) for item in fields(Rates)})


def difference(before: Rates | None, after: Rates) -> str:
    """What differs, as a line of text; all of the new where there was nothing before."""
    old = before.as_json() if before else {}
    parts = [
        f"{kind} {old.get(kind) or '–'} → {new or '–'}" if before else f"{kind} {new or '–'}"
        for kind, new in after.as_json().items()
        if old.get(kind) != new
    ]
    return ", ".join(parts)


def pending_changes() -> list[Change]:
    """What loading would add or change, for the models in the catalogue.

    What somebody entered by hand for the same days stands: that was a decision against the published figure.
    """
    listed = Price.objects.in_force().filter(contract=False)
    stored = {(p.model_id, p.speed, p.valid_from, p.above_input_tokens): p for p in listed}
    priced = {(model_id, speed) for model_id, speed, _day, _band in stored}
    changes = []
    for entry in _published(listed).entries:
        before = stored.get((entry.model_id, *entry.place))
        if before is None or (before.source == SOURCE and rates_of(before) != entry.rates):
            changes.append(Change(entry, before, (entry.model_id, entry.speed) in priced))
    return changes


def refused_prices() -> list[str]:
    """A sentence for each published price that the book cannot hold; it has to be entered by hand."""
    return _published(Price.objects.in_force().filter(contract=False)).refused


@transaction.atomic
def load(changes: Sequence[Change], by: User | None = None, note: str = "load_prices") -> None:
    """Put these changes in force; what was spent keeps the rates it was spent at."""
    _forget_drafts(changes)
    for change in changes:
        put_in_force(_drafted(change, note, by), by)


@transaction.atomic
def propose(changes: Sequence[Change], note: str = "daily load") -> int:
    """Write these changes as drafts for somebody to approve; answers how many are new. What was declined is not."""
    known = {(_place(p), rates_of(p)) for p in (*_drafts_of_the_source(), *_declined())}
    new = [c for c in changes if ((c.entry.model_id, *c.entry.place), c.entry.rates) not in known]
    _forget_drafts(new)
    for change in new:
        _drafted(change, note, None)
    return len(new)


def decline(draft: Price) -> None:
    """Somebody deletes a draft; of the source's proposals it is remembered that nobody wanted them."""
    if draft.source == SOURCE and not draft.contract and draft.created_by_id is None:
        draft.declined_at = timezone.now()
        draft.save(update_fields=["declined_at"])
    else:
        draft.delete()


def put_in_force(price: Price, by: User | None) -> None:
    """A draft counts from now on, and what stood in its place no longer."""
    same = Price.objects.in_force().filter(
        model_id=price.model_id,
        contract=price.contract,
        speed=price.speed,
        valid_from=price.valid_from,
        above_input_tokens=price.above_input_tokens,
    )
    same.exclude(pk=price.pk).replace_by(price)
    price.approved_at, price.approved_by = timezone.now(), by
    price.save(update_fields=["approved_at", "approved_by"])


def _published(listed: Iterable[Price]) -> Published:
    held: defaultdict[str, set[Place]] = defaultdict(set)
    for model_id in ClaudeModel.objects.values_list("pk", flat=True):
        held[model_id] = set()
    for price in listed:
        if price.source == SOURCE:
            held[price.model_id].add((price.speed, price.valid_from, price.above_input_tokens))
    return published_prices(held)


def _drafted(change: Change, note: str, by: User | None) -> Price:
    entry = change.entry
    return Price.objects.create(
        model_id=entry.model_id,
        speed=entry.speed,
        valid_from=entry.valid_from,
        above_input_tokens=entry.above_input_tokens,
        source=SOURCE,
        note=note,
        created_by=by,
        **{item.name: getattr(entry.rates, item.name) for item in fields(Rates)},
    )


def _drafts_of_the_source() -> list[Price]:
    return list(Price.objects.drafts().filter(source=SOURCE, contract=False))


def _declined() -> list[Price]:
    return list(Price.objects.filter(source=SOURCE, contract=False, approved_at=None, declined_at__isnull=False))


def _forget_drafts(changes: Sequence[Change]) -> None:
    """Earlier proposals of the source for the same places are overtaken."""
    places = {(change.entry.model_id, *change.entry.place) for change in changes}
    overtaken = [draft.pk for draft in _drafts_of_the_source() if _place(draft) in places]
    Price.objects.filter(pk__in=overtaken).delete()


def _place(price: Price) -> tuple[str, str, object, int]:
    return (price.model_id, price.speed, price.valid_from, price.above_input_tokens)
