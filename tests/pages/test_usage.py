"""Does everybody see their own spend, and nobody else's?"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.test import Client

from core.models import CostRecord, User
from core.reports.rollups import roll_up_all

URL, CSV = "/usage/", "/usage/export.csv"
MakeRecord = Callable[..., CostRecord]


def test_one_has_to_be_signed_in_and_nothing_more(client: Client, outsider: User) -> None:
    for path in (URL, CSV, "/usage/export.xlsx"):
        assert client.get(path)["Location"] == f"/login/?next={path}"
    client.force_login(outsider)
    for path in (URL, CSV, "/usage/export.xlsx"):
        assert client.get(path).status_code == 200
    assert 'href="/usage/"' in client.get("/").content.decode()


@pytest.mark.parametrize("rolled", [False, True])
@pytest.mark.parametrize("by", ["prompt", "model", "key", "lane"])
def test_it_shows_ones_own_and_nothing_of_others(
    client: Client, member: User, outsider: User, billed: MakeRecord, by: str, rolled: bool
) -> None:
    billed(member, "1.25", lane="sync")
    billed(member, "0.5", lane="queue")
    billed(outsider, "40", model="claude-secret")
    billed(None, "80")
    if rolled:
        roll_up_all()
    client.force_login(member)
    html = client.get(URL, {"by": by}).content.decode()
    assert re.search(r'class="sum"><data value="1.75"', html)
    assert "claude-secret" not in html
    assert "$40" not in html
    for what in ("records", "sums", "steps"):
        response = client.get(CSV, {"by": by, "what": what})
        rows = list(csv.DictReader(io.StringIO(b"".join(response.streaming_content).decode())))  # type: ignore[attr-defined]
        assert sum(Decimal(row["amount USD"]) for row in rows) == Decimal("1.75")


def test_nobody_can_ask_for_somebody_else(client: Client, member: User, outsider: User, billed: MakeRecord) -> None:
    billed(outsider, "40")
    client.force_login(member)
    html = client.get(URL, {"user": str(outsider.pk), "user_id": str(outsider.pk), "by": "user"}).content.decode()
    assert "Nothing was spent yet" in html
