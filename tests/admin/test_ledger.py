"""Is a cost record found and explained, and can nobody change or delete one through the admin?"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.test import Client
from django.urls import reverse

from core.intake.accept import accept
from core.models import CostRecord, Prompt, User

SignIn = Callable[[User], Client]
LIST = reverse("admin:core_costrecord_changelist")


@pytest.fixture
def record(prompt: Prompt, member: User) -> CostRecord:
    assert prompt.published is not None
    call = accept(prompt.published, {"document": "Tea.", "length": "short"}, user=member)
    return CostRecord.objects.create(
        call=call,
        user=member,
        prompt=prompt,
        model="claude-haiku-5-5",
        request_id="req_one",
        input_tokens=12,
        output_tokens=3,
        raw_usage={"input_tokens": 12, "note": "<script>alert(1)</script>"},
        rates={"input": "1", "output": "5"},
        amount=Decimal("0.0000270001"),
    )


@pytest.mark.parametrize("role", ["administrator", "finance", "operator"])
def test_nobody_changes_adds_or_deletes_a_record(
    role: str, request: pytest.FixtureRequest, client: Client, record: CostRecord
) -> None:
    client.force_login(request.getfixturevalue(role))
    change = reverse("admin:core_costrecord_change", args=[record.pk])
    assert client.post(change, {"amount": "0"}).status_code == 403
    assert client.post(reverse("admin:core_costrecord_delete", args=[record.pk]), {"post": "yes"}).status_code == 403
    assert client.get(reverse("admin:core_costrecord_add")).status_code == 403
    client.post(LIST, {"action": "delete_selected", ACTION_CHECKBOX_NAME: [record.pk], "post": "yes", "index": "0"})
    assert CostRecord.objects.get().amount == Decimal("0.0000270001")


def test_a_superuser_does_not_either(client: Client, record: CostRecord) -> None:
    client.force_login(User.objects.create_superuser("root", password="secret"))
    assert client.post(reverse("admin:core_costrecord_change", args=[record.pk]), {"amount": "0"}).status_code == 403
    assert client.post(reverse("admin:core_costrecord_delete", args=[record.pk]), {"post": "yes"}).status_code == 403
    assert CostRecord.objects.exists()


def test_a_record_shows_all_places_its_rates_and_the_usage_as_text(
    as_: SignIn, finance: User, record: CostRecord
) -> None:
    text = as_(finance).get(reverse("admin:core_costrecord_change", args=[record.pk])).content.decode()
    assert "$0.0000270001" in text
    assert "output: 5" in text
    assert "<script>alert(1)" not in text
    assert reverse("admin:core_call_change", args=[record.call_id]) in text


@pytest.mark.parametrize("by", ["request_id", "call_id"])
def test_a_record_is_found_by_request_and_by_call(by: str, as_: SignIn, finance: User, record: CostRecord) -> None:
    client = as_(finance)
    assert list(client.get(LIST, {"q": str(getattr(record, by))}).context["cl"].result_list) == [record]
    assert list(client.get(LIST, {"q": "req_two"}).context["cl"].result_list) == []


@pytest.mark.parametrize(("query", "found"), [("known=no", 0), ("known=yes", 1), ("purpose__exact=answer", 1)])
def test_records_are_filtered(query: str, found: int, as_: SignIn, finance: User, record: CostRecord) -> None:
    assert len(as_(finance).get(f"{LIST}?{query}").context["cl"].result_list) == found


@pytest.mark.parametrize("table", ["core_user", "core_prompt"])
def test_what_records_belong_to_is_kept_and_the_reason_said(
    table: str, as_: SignIn, administrator: User, record: CostRecord
) -> None:
    row = {"core_user": record.user_id, "core_prompt": record.prompt_id}[table]
    client = as_(administrator)
    page = reverse(f"admin:{table}_delete", args=[row])
    assert "belongs to calls and cost records that are kept" in client.get(page).content.decode()
    client.post(page, {"post": "yes"})
    chosen = {"action": "delete_selected", ACTION_CHECKBOX_NAME: [row], "post": "yes", "index": "0"}
    client.post(reverse(f"admin:{table}_changelist"), chosen)
    assert User.objects.filter(username="member").exists()
    assert Prompt.objects.filter(slug="summarise").exists()
