"""Is every exchange booked once, and does a correction make the sums right without changing what was?"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from decimal import Decimal
from functools import partial

import pytest
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.db.models import Count, Q, Sum
from django.utils import timezone

from core.costs.corrections import CorrectionError, correct, fill_unknown, reprice, standing
from core.costs.ledger import Exchange, book, booking_day, settle
from core.models import Call, ClosedMonth, CostRecord, PendingRollup, Price, Prompt, User
from tests.books import forget_prices, rewrite_prices

MODEL = "claude-haiku-5-5"
USAGE = {"input_tokens": 1000, "output_tokens": 200}
MakeCall = Callable[..., Call]


@pytest.fixture
def make_call(prompt: Prompt, member: User) -> MakeCall:
    def make(attempt: int = 1) -> Call:
        return Call.objects.create(user=member, prompt=prompt, model=MODEL, attempt=attempt)

    return make


def known(request_id: str = "req_1", usage: dict[str, int] = USAGE) -> Exchange:
    return Exchange(model=MODEL, request_id=request_id, raw_usage=dict(usage), complete=True)


def spent() -> Decimal:
    return CostRecord.objects.aggregate(sum=Sum("amount"))["sum"] or Decimal(0)


def unknown_by_counting() -> int:
    """As the rollups count: records without an amount, less those of them that are corrected."""
    counts = CostRecord.objects.aggregate(
        unknown=Count("pk", filter=Q(amount=None)),
        corrected=Count("pk", filter=Q(corrects__isnull=False, corrects__amount=None)),
    )
    return int(counts["unknown"] - counts["corrected"])


# --- Once and only once ---


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("request_id", ["req_1", ""])
def test_sixteen_threads_that_settle_one_exchange_book_it_once(make_call: MakeCall, request_id: str) -> None:
    call = make_call()
    Call.objects.filter(pk=call.pk).update(status=Call.Status.RUNNING, lease_token="t")
    exchange = known(request_id) if request_id else Exchange(model=MODEL)
    start = threading.Barrier(16)
    applied: list[bool] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            mine = Call.objects.get(pk=call.pk)
            # The pool has fewer connections than there are threads.
            connection.close()
            start.wait(30)
            end = partial(mine.succeed, {"model": MODEL, "request_id": request_id})
            applied.append(settle(mine, exchange, end))
        except BaseException as error:  # noqa: BLE001 - told below, in the test's own thread
            failed.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failed == []
    assert sorted(applied) == [False] * 15 + [True]
    assert CostRecord.objects.count() == PendingRollup.objects.count() == 1


def test_a_replayed_settlement_changes_nothing(make_call: MakeCall) -> None:
    call = make_call()
    first = book(call, known())

    assert book(call, known(usage={"input_tokens": 1, "output_tokens": 1})) == first
    assert CostRecord.objects.get().amount == first.amount


def test_a_request_id_is_booked_once_whichever_call_names_it(make_call: MakeCall) -> None:
    first = book(make_call(), known())

    assert book(make_call(), known()) == first
    assert CostRecord.objects.get() == first


def test_each_attempt_without_an_answer_has_one_unknown_cost_of_its_own(make_call: MakeCall) -> None:
    call = make_call()
    for attempt in (1, 2, 2, 1):
        call.attempt = attempt
        book(call, Exchange(model=MODEL))

    assert sorted(CostRecord.objects.unknown().values_list("attempt", flat=True)) == [1, 2]


def test_a_usage_that_never_came_is_unknown_and_one_of_zero_costs_zero(make_call: MakeCall) -> None:
    nothing = book(make_call(), known("req_0", {"input_tokens": 0, "output_tokens": 0}))
    missing = book(make_call(), Exchange(model=MODEL, request_id="req_2", raw_usage=USAGE, complete=False))

    assert nothing.amount == 0
    assert missing.amount is None
    assert missing.unknown_reason
    assert missing.raw_usage == USAGE, "what did come is kept"


def test_a_late_answer_after_a_fill_by_hand_is_not_counted_twice(make_call: MakeCall, finance: User) -> None:
    call = make_call()
    lost = book(call, Exchange(model=MODEL))
    fill_unknown(lost, amount=Decimal(1), note="A guess from the invoice.", by=finance)

    late = book(call, known())

    assert late.corrects == lost.corrected_by
    assert spent() == standing(late) == book(make_call(), known("req_2")).amount
    assert call.cost == standing(late)


def test_a_late_answer_after_a_usage_by_hand_tells_no_tokens_twice(make_call: MakeCall, finance: User) -> None:
    call = make_call()
    lost = book(call, Exchange(model=MODEL))
    fill_unknown(lost, usage={"input_tokens": 900, "output_tokens": 1}, note="From the console.", by=finance)

    late = book(call, known())

    assert CostRecord.objects.filter(call=call).aggregate(tokens=Sum("input_tokens"))["tokens"] == 900
    assert standing(late) == book(make_call(), known("req_2")).amount
    assert reprice([late], finance, "Again.") == [], "what came at last is what is priced"


def test_a_late_answer_counts_where_its_unknown_cost_was_counted(make_call: MakeCall, member: User) -> None:
    """Otherwise one team would have an unknown cost for ever, and another less than none."""
    member.team = Group.objects.create(name="Sales")
    member.save()
    call = make_call()
    call.user = member
    lost = book(call, Exchange(model=MODEL))
    member.team, member.cost_centre = None, "4711"

    late = book(call, Exchange("claude-haiku-5-5-dated", "req_1", dict(USAGE), complete=True))

    assert late.corrects == lost
    assert (late.team, late.cost_centre, late.model) == (lost.team, "", MODEL)
    assert lost.team is not None


# --- Corrections ---


def test_a_correction_carries_the_difference_so_that_sums_are_plain(make_call: MakeCall, finance: User) -> None:
    call = make_call()
    record = book(call, known())

    lower = correct(record, Decimal("0.0000000001"), "Agreed with the provider.", finance)
    assert record.amount is not None
    assert lower.amount == Decimal("0.0000000001") - record.amount < 0
    assert spent() == call.cost == standing(record) == Decimal("0.0000000001")

    higher = correct(lower, Decimal(3), "And agreed anew.", finance)
    assert spent() == call.cost == standing(lower) == 3
    assert [each.pk for each in record.chain()] == [record.pk, lower.pk, higher.pk]
    assert (higher.source, higher.entered_by, higher.note) == ("by_hand", finance, "And agreed anew.")
    assert CostRecord.objects.aggregate(tokens=Sum("input_tokens"))["tokens"] == 1000
    assert set(PendingRollup.objects.values_list("pk", flat=True)) == {record.pk, lower.pk, higher.pk}


def test_only_the_newest_of_a_chain_is_put_right(make_call: MakeCall, finance: User) -> None:
    record = book(make_call(), known())
    stale = CostRecord.objects.get(pk=record.pk)
    correct(record, Decimal(1), "First.", finance)

    with pytest.raises(CorrectionError, match="already"):
        correct(stale, Decimal(2), "Second.", finance)
    assert spent() == 1


@pytest.mark.parametrize(
    ("amount", "note", "words"), [("-1", "Why.", "zero or more"), ("1", "  ", "Say why"), ("0.002", "Why.", "already")]
)
def test_a_senseless_correction_is_refused(
    make_call: MakeCall, finance: User, amount: str, note: str, words: str
) -> None:
    record = book(make_call(), known())
    assert record.amount is not None
    given = record.amount if words == "already" else Decimal(amount)

    with pytest.raises(CorrectionError, match=words):
        correct(record, given, note, finance)
    assert CostRecord.objects.count() == 1


def test_an_unknown_cost_is_filled_in_with_an_amount_or_a_usage(make_call: MakeCall, finance: User) -> None:
    first, second = make_call(), make_call()
    lost, broken = book(first, Exchange(model=MODEL)), book(second, Exchange(MODEL, "req_2", {"input_tokens": 1}))
    assert unknown_by_counting() == 2
    assert first.cost is None

    fill_unknown(lost, amount=Decimal("0.5"), note="From the invoice.", by=finance)
    priced = fill_unknown(broken, usage=USAGE, note="From the provider's log.", by=finance)

    assert first.cost == Decimal("0.5")
    assert second.cost == priced.amount == book(make_call(), known("req_3")).amount
    assert (priced.input_tokens, priced.raw_usage, priced.price is not None) == (1000, USAGE, True)
    assert unknown_by_counting() == CostRecord.objects.unknown().count() == 0


def test_reconciliation_fills_in_without_a_person(make_call: MakeCall) -> None:
    lost = book(make_call(), Exchange(model=MODEL))
    with pytest.raises(CorrectionError, match="answer for"):
        fill_unknown(lost, amount=Decimal(1), note="Who says so?")

    found = fill_unknown(lost, amount=Decimal(1), note="As reported.", source=CostRecord.Source.RECONCILED)

    assert (found.source, found.entered_by) == ("reconciled", None)


@pytest.mark.parametrize("usage", [{}, {"input_tokens": 3}, {**USAGE, "speed": "fast"}])
def test_a_usage_that_cannot_be_priced_is_not_filled_in(
    make_call: MakeCall, finance: User, usage: dict[str, int | str]
) -> None:
    lost = book(make_call(), Exchange(model="claude-unheard-of" if "speed" in usage else MODEL))

    with pytest.raises(CorrectionError, match="usage"):
        fill_unknown(lost, usage=usage, note="Why.", by=finance)
    assert CostRecord.objects.unknown().count() == 1


def test_known_is_put_right_and_unknown_is_filled_in_and_not_the_other_way(make_call: MakeCall, finance: User) -> None:
    record, lost = book(make_call(), known()), book(make_call(), Exchange(model=MODEL))

    with pytest.raises(CorrectionError, match="put it right"):
        fill_unknown(record, amount=Decimal(1), note="Why.", by=finance)
    with pytest.raises(CorrectionError, match="fill it in"):
        correct(lost, Decimal(1), "Why.", finance)


def test_a_new_price_changes_nothing_until_records_are_priced_anew(make_call: MakeCall, finance: User) -> None:
    """At 10 and 20 USD a million, 1,000 tokens in and 200 out cost 0.010 + 0.004 USD."""
    call = make_call()
    record = book(call, known())
    old = record.amount
    Price.objects.create(
        model_id=MODEL, contract=True, valid_from=dt.date(2023, 1, 1), input=10, output=20, approved_at=timezone.now()
    )
    record.refresh_from_db()
    assert record.amount == old

    (new,) = reprice([record], finance, "Our contract was entered late.")

    assert (standing(record), spent(), call.cost) == (Decimal("0.014"),) * 3
    assert (new.source, new.corrects, new.input_tokens) == ("repriced", record, None)
    assert new.rates is not None
    assert (new.rates["input"], new.parts) == ("10", {"input": "0.01", "output": "0.004"})
    assert reprice([new], finance, "Once more.") == [], "it costs the same"


def test_what_had_no_price_is_known_once_it_is_priced_anew(make_call: MakeCall, finance: User) -> None:
    prices = list(Price.objects.filter(model_id=MODEL))
    forget_prices(Price.objects.filter(model_id=MODEL))
    record = book(make_call(), known())
    assert (record.amount, record.input_tokens) == (None, 1000)
    lost = book(make_call(), Exchange(model=MODEL))
    Price.objects.bulk_create(prices)

    (new,) = reprice([record, lost], finance, "The price was missing.")

    assert new.amount == spent() == book(make_call(), known("req_2")).amount
    assert unknown_by_counting() == 1, "without a usage there is nothing to price"


def test_a_correction_is_all_or_nothing(make_call: MakeCall, finance: User) -> None:
    first, second = book(make_call(), known()), book(make_call(), known("req_2"))
    correct(second, Decimal(1), "First.", finance)
    rewrite_prices(Price.objects.filter(model_id=MODEL), input=10)

    with pytest.raises(CorrectionError):
        reprice([first, CostRecord.objects.get(pk=second.pk)], finance, "Both.")
    assert CostRecord.objects.count() == 3


# --- The day that it counts for ---


def close(*months: str) -> None:
    closer = User.objects.create(username="closer")
    for month in months:
        ClosedMonth.objects.create(first_day=dt.date.fromisoformat(f"{month}-01"), amount=0, closed_by=closer)


@pytest.mark.parametrize(
    ("closed", "day", "today", "counts_for"),
    [
        ([], "2026-10-20", "2026-11-21", "2026-10-20"),
        (["2026-09"], "2026-10-20", "2026-11-21", "2026-10-20"),
        (["2026-10"], "2026-10-20", "2026-11-21", "2026-11-21"),
        (["2026-10", "2026-11"], "2026-10-20", "2026-11-21", "2026-12-01"),
        (["2026-11"], "2026-11-21", "2026-11-21", "2026-12-01"),
        (["2026-12"], "2026-12-31", "2026-12-31", "2027-01-01"),
    ],
)
def test_what_is_booked_counts_for_its_day_unless_that_month_is_closed(
    db: None, closed: list[str], day: str, today: str, counts_for: str
) -> None:
    close(*closed)

    found = booking_day(dt.date.fromisoformat(day), dt.date.fromisoformat(today))

    assert found == dt.date.fromisoformat(counts_for)


def test_a_correction_counts_for_the_day_of_the_exchange_until_its_month_is_closed(
    make_call: MakeCall, finance: User
) -> None:
    today = timezone.localdate()
    long_ago = timezone.now() - dt.timedelta(days=70)
    then = timezone.localdate(long_ago)
    old = CostRecord.objects.create(call=make_call(), model=MODEL, amount=1, at=long_ago, booked_on=then)

    in_time = correct(old, Decimal(2), "In time.", finance)
    close(f"{then:%Y-%m}")
    late = correct(in_time, Decimal(3), "Too late.", finance)

    assert (in_time.booked_on, late.booked_on) == (then, today)
    assert (old.late, in_time.late, late.late) == (False, False, True)


def test_a_day_is_one_of_the_installations_time_zone(make_call: MakeCall) -> None:
    with transaction.atomic():
        record = book(make_call(), known())
    assert record.booked_on == timezone.localdate(record.at)
