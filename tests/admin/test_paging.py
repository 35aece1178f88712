"""Does a list's later page hold the rows that come next, and is reaching it cheap?"""

from __future__ import annotations

import datetime as dt

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from core.models import Call, User


def test_each_page_goes_on_where_the_one_before_ended(client: Client, operator: User) -> None:
    now = timezone.now()
    Call.objects.bulk_create(
        [Call(model=f"m-{number:03}-", created_at=now - dt.timedelta(minutes=number)) for number in range(75)]
    )
    client.force_login(operator)
    pages = [client.get("/admin/core/call/", {"p": page}).content.decode() for page in (1, 2, 3)]
    shown = [[number for number in range(75) if f"m-{number:03}-" in page] for page in pages]
    assert shown == [list(range(25)), list(range(25, 50)), list(range(50, 75))]


def test_the_rows_before_are_passed_over_by_their_keys_alone(client: Client, operator: User) -> None:
    Call.objects.bulk_create([Call(model="m") for _ in range(60)])
    client.force_login(operator)
    with CaptureQueriesContext(connection) as queries:
        client.get("/admin/core/call/", {"p": 2})
    passing = [query["sql"] for query in queries if "OFFSET 25" in query["sql"]]
    assert len(passing) == 1
    assert "JOIN" not in passing[0]
    assert '"text"' not in passing[0]
