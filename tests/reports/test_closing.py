"""Does a closed month keep its sum, and who may close one?"""

from __future__ import annotations

import datetime as dt
import threading
from decimal import Decimal

import pytest
from django.db import connection, connections, transaction
from django.test import Client
from django.utils import timezone

from core.models import ClosedMonth, User
from core.reports.closing import ClosingError, closable, close
from core.reports.rollups import roll_up_all
from tests.locks import until_somebody_waits
from tests.reports.conftest import MakeRecord

CLOSE, LIST = "/admin/core/closedmonth/close/", "/admin/core/closedmonth/"
TODAY = dt.date(2026, 6, 10)
APRIL, MAY = dt.date(2026, 4, 1), dt.date(2026, 5, 1)


def test_the_months_that_are_over_can_be_closed_once(spent: MakeRecord, finance: User) -> None:
    spent("1", dt.date(2026, 4, 30))
    spent("2", dt.date(2026, 5, 1))
    spent(None, dt.date(2026, 5, 31))
    roll_up_all()
    spent("4", dt.date(2026, 5, 31))
    spent("8", dt.date(2026, 6, 1))
    months = [(month.first_day, month.amount, month.unknown) for month in closable(TODAY)]
    assert months == [(MAY, Decimal(6), 1), (APRIL, Decimal(1), 0)]
    assert close(MAY, finance, TODAY).amount == 6
    assert [month.first_day for month in closable(TODAY)] == [APRIL]
    for bad in (MAY, dt.date(2026, 6, 1), dt.date(2026, 4, 2)):
        with pytest.raises(ClosingError):
            close(bad, finance, TODAY)


def test_only_who_may_close_months_does(
    client: Client, spent: MakeRecord, operator: User, editor: User, finance: User
) -> None:
    month = _last_month()
    spent("5.25", month)
    for who, may_look in ((operator, 200), (editor, 403)):
        client.force_login(who)
        assert client.get(LIST).status_code == may_look
        assert client.post(CLOSE, {"month": month}).status_code == 403
    assert not ClosedMonth.objects.exists()
    client.force_login(finance)
    assert f"?month={month}" in client.get(CLOSE).content.decode()
    asked = client.get(CLOSE, {"month": str(month)}).content.decode()
    assert "$5.25 for 1 exchange" in asked
    assert not ClosedMonth.objects.exists()
    assert client.post(CLOSE, {"month": month}).status_code == 302
    closed = ClosedMonth.objects.get()
    assert (closed.first_day, closed.amount, closed.closed_by) == (month, Decimal("5.25"), finance)
    assert "5.25" in client.get(LIST).content.decode()


def test_a_closed_month_cannot_be_changed_or_opened(client: Client, administrator: User) -> None:
    closed = ClosedMonth.objects.create(first_day=APRIL, amount=1, closed_by=administrator)
    client.force_login(administrator)
    assert client.get(f"{LIST}{closed.pk}/change/").status_code == 200
    assert client.post(f"{LIST}{closed.pk}/change/", {"amount": 5}).status_code == 403
    assert client.post(f"{LIST}{closed.pk}/delete/", {"post": "yes"}).status_code == 403
    assert client.get(f"{LIST}add/").status_code == 403


def test_unknown_costs_are_told_before_closing(client: Client, spent: MakeRecord, finance: User) -> None:
    month = _last_month()
    spent(None, month)
    client.force_login(finance)
    html = client.get(CLOSE, {"month": str(month)}).content.decode()
    assert "1 cost of this month is unknown" in html
    assert f"booked_on__gte={month}" in html


@pytest.mark.parametrize("month", ["", "banana", "2999-01-01", "2026-04-02"])
def test_nonsense_closes_nothing(client: Client, finance: User, month: str) -> None:
    client.force_login(finance)
    assert client.post(CLOSE, {"month": month}).status_code == 302
    assert not ClosedMonth.objects.exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer at a time")
def test_closing_waits_for_a_booking_that_is_under_way(spent: MakeRecord, finance: User) -> None:
    """A booking that has read «open» lands in the month, and in the sum that the month is closed with."""
    amounts: list[Decimal | None] = []

    def close_may() -> None:
        amounts.append(close(MAY, finance, TODAY).amount)
        connections.close_all()

    closing = threading.Thread(target=close_may)
    with transaction.atomic():
        assert not ClosedMonth.objects.filter(first_day=MAY).exists()
        closing.start()
        until_somebody_waits()
        spent("3", MAY)
    closing.join()
    assert amounts == [3]


def _last_month() -> dt.date:
    return (timezone.localdate().replace(day=1) - dt.timedelta(days=1)).replace(day=1)
