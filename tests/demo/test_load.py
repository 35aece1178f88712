"""Does a fresh database get its thirty days, and no other database any?"""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.claude.usage import read_usage
from core.costs.compute import compute
from core.costs.prices import rates_of
from core.demo.load import DemoError, InUseError, load_demo
from core.demo.people import PASSWORD, PEOPLE
from core.demo.remove import remove_demo
from core.models import (
    Call,
    ClaudeModel,
    CostRecord,
    FallbackChain,
    Key,
    Price,
    Prompt,
    PromptVersion,
    SystemPrompt,
    User,
)
from core.models.roles import ROLES
from core.reports.periods import Period
from core.reports.rollups import wrong_rollups
from core.reports.spend import chart, table, total
from tests.books import forget_prices
from tests.demo.conftest import NOW


def the_thirty_days() -> Period:
    return Period.days_until(timezone.localtime(NOW).date(), 30)


def test_refused_where_debug_is_off(catalogue: None, settings: Any) -> None:
    assert settings.DEBUG is False
    with pytest.raises(DemoError, match="DEBUG=true"):
        load_demo()
    assert not User.objects.exists()


def test_loading_twice_changes_nothing(demo: dict[str, int]) -> None:
    with pytest.raises(InUseError, match="holds prompts or calls already"):
        load_demo(NOW)
    assert Call.objects.count() == demo["calls"]


def test_a_database_in_use_is_left_alone(prompt: Prompt, trial: None) -> None:
    with pytest.raises(InUseError):
        load_demo()
    assert list(Prompt.objects.all()) == [prompt]
    assert not User.objects.exists()


def test_an_empty_catalogue_is_told(db: None, trial: None) -> None:
    with pytest.raises(DemoError, match="sync_models"):
        load_demo()
    assert not User.objects.exists()


def test_an_empty_price_book_is_told(catalogue: None, trial: None) -> None:
    forget_prices(Price.objects.all())
    with pytest.raises(DemoError, match="load_prices"):
        load_demo()


def test_a_login_that_is_taken_is_named(catalogue: None, trial: None, finance: User) -> None:
    with pytest.raises(DemoError, match="taken already: finance"):
        load_demo()
    assert list(User.objects.all()) == [finance]


def test_all_of_it_is_marked(demo: dict[str, int]) -> None:
    counts = {
        "people": User.objects,
        "system prompts": SystemPrompt.objects,
        "prompts": Prompt.objects,
        "keys": Key.objects,
        "fallback chains": FallbackChain.objects,
        "calls": Call.objects,
        "cost records": CostRecord.objects,
    }
    assert demo == {what: rows.filter(demo=True).count() for what, rows in counts.items()}
    assert not any(rows.filter(demo=False).exists() for rows in counts.values())


def test_there_is_somebody_for_each_role_and_they_can_sign_in(demo: dict[str, int]) -> None:
    assert {group.name for user in User.objects.all() for group in user.groups.all()} == set(ROLES)
    for person in PEOPLE:
        user = authenticate(username=person.username, password=PASSWORD)
        assert user is not None
        assert user.is_staff is (person.role != "Member")
        assert not user.is_superuser


def test_there_is_a_history_worth_looking_at(demo: dict[str, int]) -> None:
    assert 400 <= demo["calls"] <= 700
    statuses = Counter(Call.objects.values_list("status", flat=True))
    assert set(statuses) == {"succeeded", "failed", "dead", "canceled"}
    assert statuses["succeeded"] > 0.95 * demo["calls"]
    assert Call.objects.filter(stop_reason="max_tokens").count() == 1
    assert {"worker_lost", "rate_limit_error", "overloaded_error", "not_found_error", "invalid_request_error"} <= set(
        Call.objects.values_list("error_type", flat=True)
    )
    assert CostRecord.objects.unknown().count() == 2


def test_a_program_calls_too_and_its_calls_say_so(demo: dict[str, int]) -> None:
    used = Key.objects.exclude(last_used_at=None).get()
    calls = Call.objects.filter(key=used)
    assert calls.count() > 10
    assert set(calls.values_list("door", "user")) == {("api", used.user_id)}
    assert set(CostRecord.objects.filter(call__key=used).values_list("key", flat=True)) == {used.pk}
    assert Key.objects.filter(revoked_at=None).count() == 2


def test_calls_are_made_in_working_hours_of_the_last_thirty_days(demo: dict[str, int]) -> None:
    period = the_thirty_days()
    moments = [timezone.localtime(call.created_at) for call in Call.objects.filter(door="form")]
    assert {moment.date() for moment in moments} <= set(period.days())
    assert min(moments).date() == period.first
    assert {8} <= {moment.hour for moment in moments} <= set(range(8, 19))
    weekend = sum(moment.weekday() > 4 for moment in moments)
    assert weekend < len(moments) / 15


@pytest.mark.parametrize("hour", [5, 12])
def test_nothing_lies_in_the_future(hour: int, catalogue: None, trial: None) -> None:
    now = NOW.replace(hour=hour)
    load_demo(now)
    assert not Call.objects.filter(created_at__gte=now).exists()
    assert not Call.objects.filter(finished_at__gte=now).exists()
    assert not CostRecord.objects.filter(at__gte=now).exists()


def test_calls_are_told_in_the_order_in_which_things_happen(demo: dict[str, int]) -> None:
    for call in Call.objects.select_related("version", "user"):
        assert call.version is not None
        steps = [call.created_at, call.started_at, call.sent_at, call.first_text_at, call.finished_at]
        known = [step for step in steps if step is not None]
        assert call.finished
        assert known == sorted(known)
        if call.door == Call.Door.FORM:
            assert call.version.published_at is not None
            assert call.version.published_at < call.created_at
        assert call.user is None or call.user.date_joined < call.created_at


def test_people_used_only_what_they_may_use(demo: dict[str, int]) -> None:
    usable = {user.pk: set(Prompt.objects.usable_by(user).values_list("pk", flat=True)) for user in User.objects.all()}
    for user_id, prompt_id in Call.objects.exclude(user=None).values_list("user", "prompt").distinct():
        assert prompt_id in usable[user_id]
    assert Call.objects.filter(user=None).exclude(prompt__access=Prompt.Access.EVERYONE).count() == 0


def test_an_improved_prompt_has_calls_of_both_its_versions(demo: dict[str, int]) -> None:
    versions = PromptVersion.objects.filter(prompt__slug="answer-a-customer")
    assert [version.calls.exists() for version in versions] == [True, True]


def test_each_amount_is_what_the_price_book_says(demo: dict[str, int]) -> None:
    for record in CostRecord.objects.exclude(amount=None):
        usage = read_usage(record.raw_usage or {})
        assert usage is not None
        price = Price.objects.of(record.model, record.at.date(), usage.whole_input)
        assert price is not None
        assert record.price == price
        assert record.amount == compute(usage, rates_of(price)).amount
        assert record.rates == rates_of(price).as_json()


def test_a_known_cost_belongs_to_each_answer_and_none_to_what_was_not_billed(demo: dict[str, int]) -> None:
    for call in Call.objects.prefetch_related("cost_records"):
        records = call.cost_records.all()
        if call.status == Call.Status.SUCCEEDED:
            assert [record.request_id for record in records if record.request_id] == [call.request_id]
        elif call.error_type != "worker_lost":
            assert list(records) == []
    assert CostRecord.objects.filter(cache_read_tokens__gt=0).count() > 10


def test_reports_add_up_to_the_records(demo: dict[str, int]) -> None:
    period = the_thirty_days()
    amounts = [record.amount for record in CostRecord.objects.all() if record.amount is not None]
    spent = total(period)
    assert spent.amount == sum(amounts, Decimal(0)) > 0
    assert spent.unknown == 2
    assert wrong_rollups() == []
    for by in ("prompt", "model", "user"):
        assert sum((step.sums.amount for step in chart(period, by).steps), Decimal(0)) == spent.amount
        lines = table(period, by, spent).lines
        assert len(lines) >= 3
        assert sum((line.sums.amount for line in lines), Decimal(0)) == spent.amount


def test_the_past_is_the_same_each_time(demo: dict[str, int]) -> None:
    def past() -> list[tuple[Any, ...]]:
        return list(Call.objects.values_list("pk", "created_at", "text", "user__username", "request_id", "inputs"))

    before = past()
    remove_demo()
    load_demo(NOW)
    assert past() == before


def test_loading_takes_few_statements_and_little_time(catalogue: None, trial: None) -> None:
    began = time.monotonic()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        load_demo(NOW)
    assert time.monotonic() - began < 3
    assert len(queries) < 250


@pytest.mark.parametrize("day", [dt.date(2026, 11, 15), dt.date(2026, 12, 2)], ids=str)
def test_any_day_will_do(day: dt.date, catalogue: None, trial: None) -> None:
    loaded = load_demo(dt.datetime.combine(day, dt.time(12), tzinfo=dt.UTC))
    assert 400 <= loaded["calls"] <= 700
    assert CostRecord.objects.unknown().count() == 2


def test_a_catalogue_without_old_models_is_enough(catalogue: None, trial: None) -> None:
    used = [ClaudeModel.objects.filter(line=line).latest("released_at").pk for line in ("haiku", "sonnet", "opus")]
    forget_prices(Price.objects.exclude(model__in=used))
    ClaudeModel.objects.exclude(pk__in=used).delete()
    load_demo(NOW)
    assert not Call.objects.filter(error_status=404).exists()


def test_the_command_loads_once_and_says_so(catalogue: None, trial: None, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("load_demo")
    assert "Loaded 10 people, 3 system prompts, 6 prompts" in capsys.readouterr().out
    call_command("load_demo")
    assert "was not loaded" in capsys.readouterr().out


def test_the_command_fails_where_debug_is_off(catalogue: None) -> None:
    with pytest.raises(CommandError, match="DEBUG=true"):
        call_command("load_demo")


def test_removed_demo_data_does_not_come_back_by_itself(
    demo: dict[str, int], administrator_of_our_own: User, capsys: pytest.CaptureFixture[str]
) -> None:
    remove_demo()
    call_command("load_demo", "--only-if-new")
    assert "used already" in capsys.readouterr().out
    assert not Call.objects.exists()


@pytest.fixture
def administrator_of_our_own(db: None) -> User:
    return User.objects.create_superuser("root", "root@example.org", "a password of our own")
