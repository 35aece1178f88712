from __future__ import annotations

import datetime as dt
from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, transaction
from django.utils import timezone
from genai_prices import data_snapshot
from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, PriceVariant, StartDateConstraint

from core.costs import prices, statements
from core.costs.published import ALWAYS, SOURCE, NotInOurTermsError, _entries
from core.costs.statements import PriceRow
from core.jobs.housekeeping import sync_catalogue
from core.models import Price
from tests.books import forget_prices, rewrite_prices

TODAY = dt.date(2026, 11, 21)
SONNET = "claude-sonnet-5-5"


def entered(**values: Any) -> Price:
    """An approved entry."""
    usual = {"model_id": SONNET, "valid_from": dt.date(2026, 12, 1), "input": D(1), "output": D(5)}
    return Price.objects.create(**{**usual, "approved_at": timezone.now(), **values})


def input_rate(day: dt.date, tokens: int = 1, speed: str = "standard") -> D | None:
    price = Price.objects.of(SONNET, day, tokens, speed)
    return price.input if price else None


def test_the_book_holds_todays_published_prices(catalogue: None) -> None:
    price = Price.objects.of(SONNET, TODAY, 1000)

    assert price is not None
    assert (price.input, price.output) == (D(2), D(10))


def test_a_long_input_is_charged_at_its_bands_rate(catalogue: None) -> None:
    usual = Price.objects.of("claude-haiku-5-5", TODAY, 100_000)
    long = Price.objects.of("claude-haiku-5-5", TODAY, 100_001)

    assert usual is not None
    assert long is not None
    assert usual.above_input_tokens == 0
    assert long.above_input_tokens == 100_000
    assert (usual.input, long.input) == (D("0.1"), D("0.5"))


def test_fast_mode_has_prices_of_its_own(catalogue: None) -> None:
    fast = Price.objects.of("claude-opus-5-5", TODAY, 1, "fast")

    assert fast is not None
    assert (fast.input, fast.output, fast.cache_read, fast.web_search) == (D(8), D(40), D("0.4"), D(10))
    assert Price.objects.of(SONNET, TODAY, 1, "fast") is None


@pytest.mark.parametrize("speed", ["standard", "fast"])
def test_what_each_call_reads_of_the_book_is_what_is_in_force(catalogue: None, speed: str) -> None:
    entered(input=D("0.00000001"), output=None, contract=True, valid_until=dt.date(2026, 12, 9))
    entered(input=D(9), approved_at=None)
    replaced = entered(input=D("1234567.12345678"), valid_from=dt.date(2026, 12, 2))
    prices.put_in_force(entered(approved_at=None, valid_from=dt.date(2026, 12, 2)), None)
    assert not Price.objects.in_force_of(SONNET).filter(pk=replaced.pk).exists()

    for model_id in (SONNET, "claude-opus-5-5", "claude-haiku-5-5", "claude-nothing"):
        in_force = Price.objects.in_force_of(model_id, speed).values_list(*PriceRow._fields)
        assert sorted(statements.prices(model_id, speed)) == sorted(map(PriceRow._make, in_force))


def test_an_unknown_model_or_day_has_no_price(catalogue: None) -> None:
    assert Price.objects.of("claude-nothing", TODAY, 1) is None
    assert Price.objects.of(SONNET, dt.date(2001, 1, 1), 1) is None


def test_a_newer_price_counts_from_its_first_day(catalogue: None) -> None:
    entered(input=D(1))

    assert input_rate(dt.date(2026, 11, 30)) == D(2)
    assert input_rate(dt.date(2026, 12, 1)) == D(1)


def test_a_draft_does_not_count_until_it_is_approved(catalogue: None) -> None:
    draft = entered(input=D(1), approved_at=None)
    assert input_rate(dt.date(2026, 12, 1)) == D(2)

    prices.put_in_force(draft, None)

    assert input_rate(dt.date(2026, 12, 1)) == D(1)


def test_a_contract_price_wins_on_its_days_and_on_no_other(catalogue: None) -> None:
    entered(contract=True, valid_until=dt.date(2026, 12, 31), input=D("1.5"))
    entered(valid_from=dt.date(2026, 12, 15), input=D(3))

    days = [(11, 30), (12, 1), (12, 20), (12, 31)]
    assert [input_rate(dt.date(2026, *day)) for day in days] == [D(2), D("1.5"), D("1.5"), D("1.5")]
    assert input_rate(dt.date(2027, 1, 1)) == D(3)


def test_a_contract_that_has_ended_does_not_bring_back_the_one_before_it(catalogue: None) -> None:
    entered(contract=True, valid_from=dt.date(2026, 1, 1), input=D("1.9"))
    entered(contract=True, valid_from=dt.date(2026, 12, 1), valid_until=dt.date(2026, 12, 31), input=D("1.5"))

    assert input_rate(dt.date(2026, 11, 30)) == D("1.9")
    assert input_rate(dt.date(2027, 1, 1)) == D(2)


def test_one_place_in_the_book_has_one_price_in_force(catalogue: None) -> None:
    price = Price.objects.get(model_id=SONNET, above_input_tokens=0)

    with pytest.raises(IntegrityError), transaction.atomic():
        entered(valid_from=price.valid_from)
    entered(valid_from=price.valid_from, approved_at=None)
    entered(valid_from=price.valid_from, contract=True)


def test_an_approved_price_is_neither_saved_again_nor_deleted(catalogue: None) -> None:
    price = Price.objects.get(model_id=SONNET)
    price.input = D(9)

    with pytest.raises(TypeError, match="never changed"):
        price.save()
    with pytest.raises(TypeError, match="never deleted"):
        price.delete()
    assert input_rate(TODAY) == D(2)


def test_loading_twice_changes_nothing(catalogue: None) -> None:
    assert prices.pending_changes() == []


def test_a_dry_run_shows_the_change_and_makes_none(catalogue: None, capsys: pytest.CaptureFixture[str]) -> None:
    rewrite_prices(Price.objects.filter(model_id=SONNET), input=D(3))

    call_command("load_prices", "--dry-run")

    assert f"{SONNET} from 2023-01-01: input 3 → 2\n1 prices would change." in capsys.readouterr().out
    assert Price.objects.get(model_id=SONNET).input == D(3)


def test_loading_replaces_an_entry_and_never_edits_it(catalogue: None) -> None:
    rewrite_prices(Price.objects.filter(model_id=SONNET), input=D(3))
    old = Price.objects.get(model_id=SONNET)

    call_command("load_prices", verbosity=0)

    new = Price.objects.in_force().get(model_id=SONNET)
    assert (new.input, new.note, new.approved_at is not None) == (D(2), "load_prices", True)
    old.refresh_from_db()
    assert (old.input, old.replaced_by) == (D(3), new)
    assert prices.pending_changes() == []


def test_a_price_that_the_source_has_taken_back_counts_no_more(catalogue: None) -> None:
    entered(source=SOURCE, valid_from=dt.date(2026, 9, 1), input=D(3))
    assert input_rate(TODAY) == D(3)

    prices.load(prices.pending_changes())

    assert input_rate(TODAY) == D(2)
    assert prices.pending_changes() == []


def test_what_a_person_entered_for_the_same_days_stands(catalogue: None) -> None:
    rewrite_prices(Price.objects.filter(model_id=SONNET), input=D(3), source="our invoice")

    assert prices.pending_changes() == []


def test_the_daily_job_prices_a_new_model_and_only_proposes_what_changes_a_price(catalogue: None) -> None:
    rewrite_prices(Price.objects.filter(model_id=SONNET), input=D(3))
    forget_prices(Price.objects.filter(model_id="claude-haiku-5-5"))

    said = [sync_catalogue(), sync_catalogue()]

    assert said[0].endswith("2 prices added, 1 changes await approval")
    assert said[1].endswith("0 prices added, 0 changes await approval")
    assert Price.objects.of("claude-haiku-5-5", TODAY, 1) is not None
    assert input_rate(TODAY) == D(3)
    draft = Price.objects.get(model_id=SONNET, approved_at=None)
    assert (draft.input, draft.note) == (D(2), "daily load")


def test_a_proposal_that_somebody_declined_does_not_come_back_the_next_day(catalogue: None) -> None:
    rewrite_prices(Price.objects.filter(model_id=SONNET), input=D(3))
    sync_catalogue()
    proposed = Price.objects.drafts().get()

    prices.decline(proposed)

    assert sync_catalogue().endswith("0 changes await approval")
    assert not Price.objects.drafts().exists()
    proposed.refresh_from_db()
    assert proposed.declined_at
    assert input_rate(TODAY) == D(3)


def test_other_figures_than_the_declined_ones_are_proposed(catalogue: None) -> None:
    rewrite_prices(Price.objects.filter(model_id=SONNET), input=D(3))
    sync_catalogue()
    prices.decline(Price.objects.drafts().get())
    rewrite_prices(Price.objects.filter(model_id=SONNET, approved_at=None), input=D("1.9"))

    assert sync_catalogue().endswith("1 changes await approval")
    assert Price.objects.drafts().get().input == D(2)


def model_of(prices: Any, *variants: PriceVariant) -> ModelInfo:
    """A model as the source has them, with other prices."""
    known = next(p for p in data_snapshot.get_snapshot().providers if p.id == "anthropic").find_model(SONNET)
    assert known is not None
    return replace(known, prices=prices, price_variants=list(variants))


def test_a_batch_factor_that_begins_later_makes_an_entry_of_its_own() -> None:
    later = StartDateConstraint(dt.date(2026, 5, 1))
    batch = PriceVariant({"processing": "batch"}, ModelPrice(input_mtok=D("1.2"), output_mtok=D(6)), later)

    found = list(_entries(SONNET, model_of(ModelPrice(input_mtok=D(2), output_mtok=D(10)), batch), set()))

    # 1.2 / 2 = 6 / 10 = 0.6
    assert [(entry.valid_from, entry.rates.batch_factor) for entry in found] == [
        (ALWAYS, D("0.5")),
        (dt.date(2026, 5, 1), D("0.6")),
    ]


def test_dates_on_which_nothing_changes_make_no_entries() -> None:
    same = ModelPrice(input_mtok=D(2), output_mtok=D(10))
    dated = [ConditionalPrice(prices=same), ConditionalPrice(StartDateConstraint(dt.date(2026, 5, 1)), prices=same)]

    assert len(list(_entries(SONNET, model_of(dated), set()))) == 1


@pytest.mark.parametrize(
    "batch",
    [
        # 1/2 of the input and 6/10 of the output
        ModelPrice(input_mtok=D(1), output_mtok=D(6)),
        # one third has no end in the four places that the book keeps
        ModelPrice(input_mtok=D(1), output_mtok=D(5), cache_read_mtok=D(1)),
    ],
)
def test_batch_prices_that_one_factor_cannot_say_are_refused_and_not_bent(batch: ModelPrice) -> None:
    variant = PriceVariant({"processing": "batch"}, batch)

    with pytest.raises(NotInOurTermsError, match="batch"):
        list(_entries(SONNET, model_of(ModelPrice(input_mtok=D(2), output_mtok=D(10)), variant), set()))


def test_every_published_price_fits_the_book(catalogue: None) -> None:
    assert prices.refused_prices() == []
