"""Do statements that are built once do what Django's own do?"""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from core.intake.keys import make_key
from core.models import Call, ClaudeModel, Key, KeySecret, User, direct

LEASE = dt.timedelta(seconds=30)
# More often than PostgreSQL runs a statement before it keeps it prepared.
OFTEN = 12


def values_of(row: Model) -> dict[str, Any]:
    return {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}


def claimed(**fields: Any) -> Call:
    return Call(**fields, **Call.claimed(LEASE))


@pytest.mark.parametrize("name", ["plain", "ünïcode «%s» '\""])
def test_what_was_inserted_is_read_as_it_was(member: User, name: str) -> None:
    for number in range(OFTEN):
        call = claimed(user=member, request={"text": name, "n": [number, None, 0.5]}, text=name, sent_at=timezone.now())
        direct.insert(call)
        assert values_of(Call.objects.get(pk=call.pk)) == values_of(call)
        assert not call._state.adding


def test_a_row_gets_the_number_that_the_database_gives(db: None) -> None:
    rows = [User(username=name) for name in ("first", "second")]
    for row in rows:
        direct.insert(row)
        assert User.objects.get(username=row.username).pk == row.pk


def test_an_update_changes_the_row_and_the_object_or_neither(member: User) -> None:
    call = claimed(user=member)
    call.save()
    for number in range(OFTEN):
        change = direct.Change(call, {"lease_token": call.lease_token}, {"content": [{"n": number}], "sent_at": None})
        assert change.make()
        assert Call.objects.get(pk=call.pk).content == call.content == [{"n": number}]
    assert not direct.Change(call, {"lease_token": "another's"}, {"text": "late"}).make()
    assert Call.objects.get(pk=call.pk).text == call.text == ""


def test_a_key_is_found_in_one_query_with_its_owner_and_what_it_is_bound_to(
    member: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    key = Key.objects.create(name="Report", user=member, expires_at=timezone.now() + LEASE)
    _, text = KeySecret.make(key, member)
    for _ in range(OFTEN):
        found = KeySecret.objects.find(text)
        assert found is not None
        assert (values_of(found.key), values_of(found.key.user)) == (values_of(key), values_of(member))
    with django_assert_num_queries(1):
        unbound = KeySecret.objects.find(text)
        assert unbound is not None
        assert unbound.key.models_bound_to() == frozenset()
    key.models_allowed.add(ClaudeModel.objects.create(pk="one", display_name="One"))
    bound = KeySecret.objects.find(text)
    assert bound is not None
    assert bound.key.models_bound_to() == {"one"}
    assert KeySecret.objects.find("ca-unknown") is None


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_prepared_a_statement_for_other_columns_finds_it_nevertheless(member: User) -> None:
    """As where a migration of the next version changes them beneath this process."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite prepares anew by itself")
    _, text = make_key("Nightly report", member, by=None)
    for _ in range(OFTEN):
        assert KeySecret.objects.find(text)

    def alter(kind: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE core_key ALTER COLUMN name TYPE {kind}")
        connection.close()

    with ThreadPoolExecutor(1) as pool:
        try:
            pool.submit(alter, "text").result(30)
            assert KeySecret.objects.find(text)
        finally:
            connection.close()
            pool.submit(alter, f"varchar({Key._meta.get_field('name').max_length})").result(30)
