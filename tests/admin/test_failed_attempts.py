"""Do the pages of a call say what was tried in vain, and what followed?"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from core.intake.keys import make_key
from core.models import Call, FailedAttempt, User

SignIn = Callable[[User], Client]


@pytest.fixture
def call(member: User) -> Call:
    key, _ = make_key("Nightly report", member, by=None)
    made = Call.objects.create(user=member, key=key, status=Call.Status.SUCCEEDED, text="Please call us.", written=True)
    FailedAttempt.objects.create(
        call=made, number=1, model="claude-opus-5-5", seconds=1.25, error_type="overloaded_error", error_status=529,
        error_message="Overloaded", request_id="req_1", then="asked claude-haiku-5-5",
    )  # fmt: skip
    FailedAttempt.objects.create(
        call=made, number=2, model="claude-haiku-5-5", error_type="breaker_open", then="the written answer was given"
    )
    return made


def test_the_administration_lists_each_failed_attempt(call: Call, as_: SignIn, operator: User) -> None:
    page = as_(operator).get(reverse("admin:core_call_change", args=[call.pk])).content.decode()
    for said in (
        "Failed attempts", "claude-opus-5-5", "Claude was overloaded. «Overloaded»", "HTTP status 529", "req_1",
        "asked claude-haiku-5-5", "the written answer was given", "This was written beforehand", "Nightly report",
    ):  # fmt: skip
        assert said in page
    assert reverse("admin:core_key_change", args=[call.key_id]) in page


def test_who_may_not_open_the_key_gets_no_link_to_it(call: Call, as_: SignIn, finance: User) -> None:
    page = as_(finance).get(reverse("admin:core_call_change", args=[call.pk])).content.decode()
    assert "Nightly report" in page
    assert reverse("admin:core_key_change", args=[call.key_id]) not in page


def test_the_result_page_says_it_in_plain_words(call: Call, as_: SignIn, member: User) -> None:
    page = as_(member).get(reverse("call", args=[call.pk])).content.decode()
    for said in (
        "2 tries without an answer", "Claude is overloaded at the moment.", "Claude said: Overloaded",
        "What followed: asked claude-haiku-5-5", "This was written beforehand", "Nightly report",
    ):  # fmt: skip
        assert said in page


def test_a_call_without_failures_says_nothing_of_them(as_: SignIn, operator: User) -> None:
    call = Call.objects.create(user=operator, status=Call.Status.SUCCEEDED, text="Fine.")
    client = as_(operator)
    assert "Failed attempts" not in client.get(reverse("admin:core_call_change", args=[call.pk])).content.decode()
    assert "without an answer" not in client.get(reverse("call", args=[call.pk])).content.decode()


def test_an_outsider_sees_none_of_it(call: Call, as_: SignIn, outsider: User) -> None:
    client = as_(outsider)
    assert client.get(reverse("call", args=[call.pk])).status_code in {403, 404}
    assert client.get(reverse("admin:core_call_change", args=[call.pk])).status_code == 302
