"""Which statements does every call run for its cost and its budgets?

They are written as SQL, because each call runs them and a shared row waits for them: building the same statements from
querysets took three times the processor time (measured by `tests/bench/budgets.py`). Amounts go in and come out as the
database keeps them, see `core.models.fields`.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NamedTuple

from django.db import connection
from django.utils import timezone

from core.models import Batch, Call
from core.models.fields import PLACES, MoneyField
from core.models.round_trip import Done, Step, run_all

_PRICES = """
    SELECT id, contract, valid_from, valid_until, above_input_tokens, input, output, cache_write_5m, cache_write_1h,
        cache_read, web_search, batch_factor, us_factor, priority_factor
    FROM core_price
    WHERE model_id = %s AND speed = %s AND approved_at IS NOT NULL AND replaced_by_id IS NULL"""
_BOOKING = """
    SELECT EXISTS (SELECT 1 FROM core_costrecord WHERE call_id = c.id)
        OR EXISTS (SELECT 1 FROM core_costrecord WHERE request_id = %s AND request_id <> ''),
        EXISTS (SELECT 1 FROM core_closedmonth WHERE first_day >= %s), u.team_id, u.cost_centre, k.cost_centre
    FROM core_call c LEFT JOIN core_user u ON u.id = c.user_id LEFT JOIN core_key k ON k.id = c.key_id
    WHERE c.id = %s"""
_CLOSED = "SELECT first_day FROM core_closedmonth WHERE first_day >= %s"
# The record that this connection stored last.
_PENDING = {
    "postgresql": """
        INSERT INTO core_pendingrollup (record_id) VALUES (CURRVAL(PG_GET_SERIAL_SEQUENCE('core_costrecord', 'id')))""",
    "sqlite": "INSERT INTO core_pendingrollup (record_id) VALUES (LAST_INSERT_ROWID())",
}
_APPLYING = """
    SELECT b.id, b.hard, w.id
    FROM core_budget b
    LEFT JOIN core_budgetwindow w ON w.budget_id = b.id AND w.first_day = (
        CASE b.period WHEN 'day' THEN {day} WHEN 'week' THEN {day} WHEN 'month' THEN {day} ELSE b.starts_on END)
    WHERE b.active AND b.starts_on <= {day} AND (b.ends_on IS NULL OR b.ends_on >= {day})
        AND (b.scope = 'organisation' OR b.user_id = %s OR b.key_id = %s OR b.prompt_id = %s
            OR b.group_id IN (SELECT group_id FROM core_key_groups WHERE key_id = %s)
            OR b.group_id IN (SELECT group_id FROM core_user_groups WHERE user_id = %s)
                AND NOT EXISTS (SELECT 1 FROM core_key_groups WHERE key_id = %s))
    ORDER BY w.id, b.id"""
_TAKE = """
    UPDATE core_budgetwindow SET reserved = reserved + %s
    WHERE id = %s AND ({soft} OR spent + reserved + %s <= "limit")"""
_HOLD = """
    INSERT INTO core_reservation (call_id, window_id, amount, held, spent, created_at) VALUES (%s, %s, %s, %s, 0, %s)"""
_BRING = "UPDATE core_reservation SET held = %s, spent = %s, released_at = %s WHERE id = %s"
_COUNT = """
    UPDATE core_budgetwindow SET spent = spent + %s, reserved = reserved + %s WHERE id = %s RETURNING spent, "limit\""""
_FIELD = MoneyField()


class PriceRow(NamedTuple):
    """What a `Price` in force says, without the rest of it."""

    id: int
    contract: bool
    valid_from: dt.date
    valid_until: dt.date | None
    above_input_tokens: int
    input: Decimal | None
    output: Decimal | None
    cache_write_5m: Decimal | None
    cache_write_1h: Decimal | None
    cache_read: Decimal | None
    web_search: Decimal | None
    batch_factor: Decimal
    us_factor: Decimal
    priority_factor: Decimal


class Booking(NamedTuple):
    """What has to be known before an exchange of a call is booked."""

    # Whether the call, or the request id, has any record yet.
    before: bool
    team_id: int | None
    cost_centre: str
    # Whether this month or a later one is closed.
    closed: bool = False


class Scope(NamedTuple):
    """Who and what a call is counted for: the same budgets count all calls that agree in these."""

    user_id: int | None
    key_id: int | None
    prompt_id: int | None


def scope_of(of: Call | Batch) -> Scope:
    return Scope(of.user_id, of.key_id, of.prompt_id)


@dataclass(frozen=True)
class Applying:
    """A budget that counts a call, and its present window where that exists."""

    budget_id: int
    hard: bool
    window_id: int | None


@dataclass(frozen=True)
class Held:
    """A reservation as stored, locked until the transaction ends."""

    pk: int
    window_id: int
    amount: Decimal
    held: Decimal
    spent: Decimal
    released: bool
    thresholds: list[int]


def prices(model_id: str, speed: str) -> list[PriceRow]:
    """All prices in force of a model, past and future ones too, as `Price.objects.in_force_of` finds them."""
    return prices_in(run_all([asking_prices(model_id, speed)])[0])


def asking_prices(model_id: str, speed: str) -> Step:
    return Step(_PRICES, [model_id, speed])


def prices_in(done: Done) -> list[PriceRow]:
    return [PriceRow(*row[:5], *map(_rate, row[5:])) for row in done.found]


def booking(call: Call, request_id: str, today: dt.date) -> Booking:
    """Where a call's cost is to be booked, as of now, and whether anything of it was. The call's row is locked."""
    return booking_in(run_all([asking_booking(call, request_id, today)])[0])


def asking_booking(call: Call, request_id: str, today: dt.date) -> Step:
    return Step(_BOOKING, [request_id, today.replace(day=1).isoformat(), _uuid(call.pk)])


def booking_in(done: Done) -> Booking:
    before, closed, team_id, of_person, of_key = done.found[0]
    return Booking(bool(before), team_id, of_key or of_person or "", bool(closed))


def closed_months(since: dt.date) -> set[dt.date]:
    """The first days of the months closed from `since` on."""
    return {first_day for (first_day,) in _rows(_CLOSED, [since.isoformat()])}


def await_rollup() -> Step:
    """Notes that the rollups have yet to take in the record that was stored just before."""
    return Step(_PENDING[connection.vendor], [])


def applying(scope: Scope, day: dt.date) -> list[Applying]:
    """The budgets that count calls of `scope` on `day`, in the order in which their windows are to be changed.

    A key's groups count instead of its owner's, where it has any.
    """
    return applying_in(run_all([asking_applying(scope, day)])[0])


def asking_applying(scope: Scope, day: dt.date) -> Step:
    days = [day, day - dt.timedelta(days=day.weekday()), day.replace(day=1), day, day]
    date = "CAST(%s AS date)" if connection.vendor == "postgresql" else "%s"
    user, key, prompt = scope
    return Step(_APPLYING.format(day=date), [*(each.isoformat() for each in days), user, key, prompt, key, user, key])


def applying_in(done: Done) -> list[Applying]:
    return [Applying(budget_id, bool(hard), window_id) for budget_id, hard, window_id in done.found]


def take(window_id: int, amount: Decimal, *, hard: bool) -> bool:
    """Reserve in one window; False, and nothing changed, where a hard limit has no room."""
    return run_all([taking(window_id, amount, hard=hard)])[0].rows == 1


def taking(window_id: int, amount: Decimal, *, hard: bool) -> Step:
    money = _money(amount)
    return Step(_TAKE.format(soft="1 = 0" if hard else "1 = 1"), [money, window_id, money])


def holding(holds: Iterable[tuple[Call, int, Decimal]]) -> list[Step]:
    """Write down how much each of these calls reserves in a window."""
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    return [
        Step(_HOLD, [_uuid(call.pk), window, _money(amount), _money(amount), now]) for call, window, amount in holds
    ]


def held_row(row: Sequence[Any]) -> Held:
    pk, window_id, amount, kept, spent, released, thresholds = row
    return Held(pk, window_id, dollars(amount), dollars(kept), dollars(spent), bool(released), _list(thresholds))


def of_calls(statement: str, call_ids: Sequence[uuid.UUID], **parts: str) -> Step:
    """A statement that has `{among}` where «is one of these calls» belongs."""
    values = [_uuid(call_id) for call_id in call_ids]
    if len(values) == 1:
        # PostgreSQL plans a list anew each time, which takes longer than looking for one.
        return Step(statement.format(among="= %s", **parts), values)
    if connection.vendor == "postgresql":
        # One statement for any number, so that it is prepared once.
        return Step(statement.format(among="= ANY(%s)", **parts), [values])
    return Step(statement.format(among=f"IN ({', '.join(['%s'] * len(values))})", **parts), values)


def bringing(reservations: Iterable[Held]) -> list[Step]:
    """Write what each of these reservations holds and spent now; their windows are to be changed by `counting`."""
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    return [Step(_BRING, [_money(r.held), _money(r.spent), now if r.released else None, r.pk]) for r in reservations]


def counting(window_id: int, spent: Decimal, reserved: Decimal) -> Step:
    """Changes a window by these differences."""
    return Step(_COUNT, [_money(spent), _money(reserved), window_id])


def counted_in(done: Done) -> tuple[Decimal, Decimal]:
    """What the window has spent now, and its limit."""
    of_all, limit = done.found[0]
    return dollars(of_all), dollars(limit)


def _rows(statement: str, values: list[Any]) -> list[Any]:
    return run_all([Step(statement, values)])[0].found


def _money(amount: Decimal) -> int:
    return int(_FIELD.get_prep_value(amount))


def dollars(units: Any) -> Decimal:
    return Decimal(int(units)).scaleb(-PLACES)


def _rate(value: Any) -> Decimal | None:
    # SQLite answers whole numbers and floats, whose shortest text is what was stored.
    return value if value is None or isinstance(value, Decimal) else Decimal(str(value))


def _uuid(value: uuid.UUID) -> Any:
    return value if connection.features.has_native_uuid_field else value.hex


def _list(thresholds: Any) -> list[int]:
    return list(json.loads(thresholds) if isinstance(thresholds, str) else thresholds)
