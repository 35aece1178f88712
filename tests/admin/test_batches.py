"""Do operators see how far batches are and what they cost, and stop them, and does nobody else?"""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.core.mail import EmailMessage
from django.test import Client
from django.urls import reverse

from core.batches.start import start
from core.jobs.alarms import look_out
from core.jobs.regular import known
from core.models import Batch, BatchPart, Key, User
from core.simulator.server import Simulator
from tests.batches.conftest import tended
from tests.batches.rows import rows

pytestmark = pytest.mark.django_db

LIST = reverse("admin:core_batch_changelist")


@pytest.fixture
def batch(catalogue: None, simulator: Simulator, member: User) -> Batch:
    simulator.state.clear()
    key = Key.objects.create(name="program", user=member)
    return start(Batch(user=member, key=key), rows("one", "[[simulate: batch=errored]]"))


def page_of(batch: Batch) -> str:
    return reverse("admin:core_batch_change", args=[batch.pk])


def test_the_list_and_the_page_say_how_far_it_is_and_what_it_cost(client: Client, operator: User, batch: Batch) -> None:
    client.force_login(operator)
    html = client.get(LIST).content.decode()
    assert "requests of a program" in html
    assert "On its way to Claude" in html
    ended = tended(batch)
    html = client.get(page_of(batch)).content.decode()
    assert "2 of 2 rows have ended, 100 %" in html
    assert ended.spent > Decimal(0)
    assert str(batch.parts.get().provider_id) in html
    assert "Cancel…" not in html
    assert client.get(page_of(batch).replace("change", "delete")).status_code == 403


def test_what_waits_for_a_decision_is_found(client: Client, operator: User, batch: Batch) -> None:
    client.force_login(operator)
    assert page_of(batch) not in client.get(f"{LIST}?state=asks").content.decode()
    BatchPart.objects.update(state=BatchPart.State.ASKS)
    assert page_of(batch) in client.get(f"{LIST}?state=asks").content.decode()
    assert f"--decide {batch.parts.get().marker}" in client.get(page_of(batch)).content.decode()


def test_those_who_can_decide_are_told_of_it_once(
    client: Client, operator: User, batch: Batch, mailoutbox: list[EmailMessage]
) -> None:
    BatchPart.objects.update(state=BatchPart.State.ASKS)
    known()
    told = look_out()
    assert "told of batches that ask" in told
    (mail,) = [each for each in mailoutbox if "decision" in each.subject]
    assert mail.to == [operator.email]
    assert "1 batch waits for a person's decision" in mail.subject
    assert "batches that ask" not in look_out()
    client.force_login(operator)
    page = client.get(reverse("admin:core_operations")).content.decode()
    assert "1 batch waits for a person&#x27;s decision." in page
    BatchPart.objects.update(state=BatchPart.State.UNSENT)
    assert "person&#x27;s decision" not in client.get(reverse("admin:core_operations")).content.decode()


def test_an_operator_cancels_after_a_question(client: Client, operator: User, batch: Batch) -> None:
    client.force_login(operator)
    address = reverse("admin:core_batch_cancel", args=[batch.pk])
    assert "2 of its 2 rows have not ended" in client.get(address).content.decode()
    batch.refresh_from_db()
    assert batch.status == "submitting"
    client.post(address)
    batch.refresh_from_db()
    assert batch.status == "canceling"


def test_several_are_canceled_from_the_list(client: Client, operator: User, batch: Batch) -> None:
    client.force_login(operator)
    client.post(LIST, {"action": "cancel_chosen", "_selected_action": [batch.pk]})
    batch.refresh_from_db()
    assert batch.status == "canceling"


def test_who_may_only_look_cannot_cancel(client: Client, finance: User, batch: Batch) -> None:
    client.force_login(finance)
    assert "Cancel…" not in client.get(page_of(batch)).content.decode()
    assert client.post(reverse("admin:core_batch_cancel", args=[batch.pk])).status_code == 403
    client.post(LIST, {"action": "cancel_chosen", "_selected_action": [batch.pk]})
    batch.refresh_from_db()
    assert batch.status == "submitting"


def test_a_developer_sees_their_own_only(client: Client, editor: User, batch: Batch) -> None:
    client.force_login(editor)
    assert client.get(LIST).status_code == 403
    editor.user_permissions.add(Permission.objects.get(codename="view_batch"))
    client.force_login(User.objects.get(pk=editor.pk))
    assert page_of(batch) not in client.get(LIST).content.decode()
    assert client.get(page_of(batch)).status_code == 302
    Batch.objects.update(user=editor)
    assert page_of(batch) in client.get(LIST).content.decode()
