"""Can finance fill in what is unknown and put right what is wrong, seeing first what it changes?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.costs.corrections import standing
from core.costs.ledger import Exchange, book
from core.models import Call, ClosedMonth, CostRecord, Price, Prompt, User

SignIn = Callable[[User], Client]
MODEL = "claude-haiku-5-5"
LIST = reverse("admin:core_costrecord_changelist")
NOTE = "As invoiced in October."


@pytest.fixture
def call(prompt: Prompt, member: User) -> Call:
    return Call.objects.create(user=member, prompt=prompt, model=MODEL, attempt=1)


@pytest.fixture
def lost(call: Call) -> CostRecord:
    return book(call, Exchange(model=MODEL))


@pytest.fixture
def record(call: Call) -> CostRecord:
    return book(call, Exchange(MODEL, "req_1", {"input_tokens": 1000, "output_tokens": 200}, complete=True))


def page_of(record: CostRecord, way: str = "change") -> str:
    return reverse(f"admin:core_costrecord_{way}", args=[record.pk])


@pytest.mark.parametrize("way", ["fill", "correct", "reprice"])
@pytest.mark.parametrize("role", ["operator", "publisher", "outsider"])
def test_without_the_permission_nobody_enters_anything(
    role: str, way: str, request: pytest.FixtureRequest, client: Client, lost: CostRecord
) -> None:
    client.force_login(request.getfixturevalue(role))
    for answer in (
        client.get(page_of(lost, way)),
        client.post(page_of(lost, way), {"amount": "1", "note": NOTE, "confirmed": "yes"}),
    ):
        assert answer.status_code in {302, 403}
    assert CostRecord.objects.count() == 1


def test_what_would_change_is_said_before_it_is_booked(as_: SignIn, finance: User, lost: CostRecord) -> None:
    client, today = as_(finance), timezone.localdate()
    filled = {"amount": "0.25", "note": NOTE}

    asked = client.post(page_of(lost, "fill"), filled).content.decode()
    assert "was unknown and is now $0.25" in asked
    assert f"The spend of {today.day} {today:%B %Y} grows by $0.25." in asked
    assert "What it cost is unknown" in asked
    assert CostRecord.objects.count() == 1, "nothing is booked yet"
    again = client.post(page_of(lost, "fill"), {**filled, "confirmed": "yes", "change": "yes"}).content.decode()
    assert 'value="0.25"' in again
    assert CostRecord.objects.count() == 1, "first it is changed"

    answer = client.post(page_of(lost, "fill"), {**filled, "confirmed": "yes"}, follow=True)
    assert "is now $0.25" in answer.content.decode()
    new = CostRecord.objects.get(corrects=lost)
    assert (new.amount, new.note, new.entered_by, new.source) == (Decimal("0.25"), NOTE, finance, "by_hand")


def test_an_unknown_cost_is_filled_in_by_what_claude_counted(
    as_: SignIn, administrator: User, lost: CostRecord
) -> None:
    counted = {"input_tokens": "1000", "output_tokens": "0", "cache_read": "7", "note": NOTE, "confirmed": "yes"}

    as_(administrator).post(page_of(lost, "fill"), counted)

    new = CostRecord.objects.get(corrects=lost)
    assert (new.input_tokens, new.output_tokens, new.cache_read_tokens) == (1000, 0, 7)
    assert new.amount == standing(lost) is not None


@pytest.mark.parametrize(
    ("entered", "words"),
    [
        ({}, "one of the two"),
        ({"amount": "1", "input_tokens": "1", "output_tokens": "1"}, "one of the two"),
        ({"input_tokens": "1"}, "both input and output"),
        ({"amount": "-1"}, "greater than or equal to 0"),
        ({"amount": "0.00000000001"}, "decimal places"),
        ({"amount": "1", "note": " "}, "required"),
    ],
)
def test_a_senseless_entry_is_refused_in_words(
    as_: SignIn, finance: User, lost: CostRecord, entered: dict[str, Any], words: str
) -> None:
    data = {"note": NOTE, "confirmed": "yes", **entered}
    assert words in as_(finance).post(page_of(lost, "fill"), data).content.decode()
    assert CostRecord.objects.count() == 1


def test_a_known_cost_is_put_right_and_the_chain_is_shown(as_: SignIn, finance: User, record: CostRecord) -> None:
    client, data = as_(finance), {"amount": "0.0000000001", "note": NOTE, "confirmed": "yes"}
    assert record.amount is not None

    client.post(page_of(record, "correct"), data)

    new = CostRecord.objects.get(corrects=record)
    first, second = (client.get(page_of(each)).content.decode() for each in (record, new))
    less = f"−${(record.amount - Decimal('0.0000000001')).normalize():f}"
    for text in (first, second):
        assert less in text
        assert NOTE in text
        assert "By all its records together this exchange cost <strong>$0.0000000001</strong>" in text
    assert page_of(new) in first
    assert page_of(record, "correct") not in first, "only the newest is put right"
    assert page_of(new, "correct") in second
    assert less[:8] in client.get(LIST).content.decode()


def test_two_who_correct_at_once_do_not_both(as_: SignIn, finance: User, record: CostRecord) -> None:
    client, data = as_(finance), {"amount": "1", "note": NOTE, "confirmed": "yes"}
    client.post(page_of(record, "correct"), data)

    again = client.post(page_of(record, "correct"), {**data, "amount": "2"})

    assert "Somebody has put this record right already" in again.content.decode()
    assert standing(record) == 1


def test_a_record_is_priced_anew_after_its_price_was_put_right(as_: SignIn, finance: User, record: CostRecord) -> None:
    client, data = as_(finance), {"note": NOTE, "confirmed": "yes"}
    assert "costs the same" in client.post(page_of(record, "reprice"), data).content.decode()
    Price.objects.create(
        model_id=MODEL, contract=True, valid_from=dt.date(2023, 1, 1), input=10, output=20, approved_at=timezone.now()
    )

    client.post(page_of(record, "reprice"), data)

    assert standing(record) == Decimal("0.014")


def test_what_comes_after_its_month_was_closed_says_so(as_: SignIn, finance: User, call: Call) -> None:
    today = timezone.localdate()
    then = timezone.now() - dt.timedelta(days=70)
    old = CostRecord.objects.create(
        call=call, model=MODEL, amount=1, at=then, booked_on=timezone.localdate(then), request_id="req_old"
    )
    ClosedMonth.objects.create(first_day=old.booked_on.replace(day=1), amount=1, closed_by=finance)
    words = f"It counts for {today:%B %Y}, because {old.booked_on:%B %Y} is closed."
    client, data = as_(finance), {"amount": "3", "note": NOTE}

    assert words in client.post(page_of(old, "correct"), data).content.decode()
    client.post(page_of(old, "correct"), {**data, "confirmed": "yes"})

    assert words in client.get(page_of(CostRecord.objects.get(corrects=old))).content.decode()


def test_the_list_of_unknown_costs_is_one_click_away_and_ends_when_they_are_filled_in(
    as_: SignIn, finance: User, call: Call, lost: CostRecord
) -> None:
    client = as_(finance)
    call.attempt = 2
    book(call, Exchange(MODEL, "req_1", {"input_tokens": 1000, "output_tokens": 200}, complete=True))
    assert "known=no" in client.get(LIST).content.decode()
    assert list(client.get(f"{LIST}?known=no").context["cl"].result_list) == [lost]
    assert "1 cost of the last 30 days" in client.get(reverse("admin:index")).content.decode()

    client.post(page_of(lost, "fill"), {"amount": "0", "note": NOTE, "confirmed": "yes"})

    assert list(client.get(f"{LIST}?known=no").context["cl"].result_list) == []


@pytest.mark.parametrize("table", ["core_costrecord", "core_call"])
def test_a_list_that_is_not_counted_claims_no_number(
    as_: SignIn, finance: User, record: CostRecord, table: str
) -> None:
    assert "9999999999" not in as_(finance).get(reverse(f"admin:{table}_changelist")).content.decode()
