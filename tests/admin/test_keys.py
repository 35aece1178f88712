"""Who makes, sees, rotates and revokes which keys, and is a key's text shown once and never kept?"""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from core.intake.keys import make_key, opened_by, revoke
from core.models import Budget, Call, ClaudeModel, CostRecord, Key, ModelAlias, PendingRollup, Route, User
from core.simulator.server import Simulator
from tests.routing.test_choose import says

SignIn = Callable[[User], Client]
LIST, ADD = "admin:core_key_changelist", "admin:core_key_add"
TEXT = re.compile(r"ca-[\w-]{43}")


@pytest.fixture
def developer(person: Callable[..., User]) -> User:
    return person("developer", "Developer", staff=True)


@pytest.fixture
def own(developer: User) -> Key:
    return make_key("Own script", developer, by=developer)[0]


@pytest.fixture
def anothers(member: User) -> Key:
    return make_key("Another's script", member, by=None)[0]


def pages_of(key: Key) -> list[str]:
    return [reverse(f"admin:core_key_{page}", args=[key.pk]) for page in ("change", "rotate", "revoke", "history")]


def filled(**values: Any) -> dict[str, Any]:
    return {"name": "Nightly report", "cache_minutes": 0, **values}


def text_in(answer: Any) -> str:
    found = set(TEXT.findall(answer.content.decode()))
    assert len(found) == 1
    return str(found.pop())


# --- Making one ---


def test_a_made_key_is_shown_once_and_opens_the_door(as_: SignIn, developer: User) -> None:
    client = as_(developer)
    answer = client.post(reverse(ADD), filled())
    text = text_in(answer)
    key = opened_by(text)
    assert key is not None
    assert (key.user, key.name) == (developer, "Nightly report")
    assert "no-store" in answer["Cache-Control"]
    assert "http://testserver" in answer.content.decode()
    for address in [reverse(LIST), *pages_of(key)]:
        assert text not in client.get(address).content.decode()


def test_the_text_is_in_no_log_no_session_no_message_and_no_history(
    as_: SignIn, administrator: User, member: User, caplog: pytest.LogCaptureFixture
) -> None:
    client = as_(administrator)
    with caplog.at_level(logging.DEBUG):
        made = text_in(client.post(reverse(ADD), filled(user=member.pk)))
        key = opened_by(made)
        assert key is not None
        new = text_in(client.post(reverse("admin:core_key_rotate", args=[key.pk]), {"overlap": 3600}))
    kept: list[object] = [
        *LogEntry.objects.values_list("object_repr", "change_message"),
        *map(repr, caplog.records),
        caplog.text,
    ]
    kept += [session.get_decoded() for session in Session.objects.all()]
    kept += [cookie.value for cookie in client.cookies.values()]
    assert len(LogEntry.objects.all()) == 2
    for text in (made, new):
        assert text not in str(kept)


def test_a_key_may_be_made_with_a_budget(as_: SignIn, developer: User) -> None:
    as_(developer).post(reverse(ADD), filled(budget="12.50"))
    budget = Budget.objects.get()
    assert (budget.key and budget.key.name, budget.amount, budget.period) == (
        "Nightly report", Decimal("12.50"), "month",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"name": "  "}, "This field is required"),
        ({"budget": "0"}, "greater than or equal to 0.01"),
        ({"budget": "NaN"}, "Enter a number"),
        ({"expires_at_0": "2020-01-01", "expires_at_1": "10:00"}, "a moment that is still to come"),
        ({"attempts": "99"}, "less than or equal to 10"),
    ],
)
def test_what_makes_no_key_is_said_and_makes_none(
    wrong: dict[str, str], sentence: str, as_: SignIn, developer: User
) -> None:
    answer = as_(developer).post(reverse(ADD), filled(**wrong))
    assert sentence in answer.content.decode()
    assert not Key.objects.exists()


def test_who_makes_keys_of_their_own_cannot_make_anothers_or_widen_theirs(
    as_: SignIn, developer: User, member: User, own: Key
) -> None:
    group = Group.objects.create(name="Without a budget")
    more = {"user": member.pk, "groups": [group.pk], "cost_centre": "X", "requests_per_minute": 0}
    client = as_(developer)
    client.post(reverse(ADD), filled(**more))
    client.post(pages_of(own)[0], filled(**more))
    for key in Key.objects.all():
        assert key.user == developer
        assert not key.groups.exists()
        assert (key.cost_centre, key.requests_per_minute) == ("", None)


def test_who_manages_any_key_makes_one_for_somebody_else(as_: SignIn, operator: User, member: User) -> None:
    group = Group.objects.create(name="Reports")
    text = text_in(as_(operator).post(reverse(ADD), filled(user=member.pk, groups=[group.pk], tokens_per_minute=9)))
    key = opened_by(text)
    assert key is not None
    assert (key.user, list(key.groups.all()), key.tokens_per_minute) == (member, [group], 9)
    assert key.secrets.get().created_by == operator


# --- Rotating and revoking ---


def test_a_key_is_rotated_with_the_chosen_overlap(as_: SignIn, developer: User) -> None:
    key, old = make_key("Script", developer, by=None)
    address = reverse("admin:core_key_rotate", args=[key.pk])
    client = as_(developer)
    assert "For how long" in client.get(address).content.decode()
    new = text_in(client.post(address, {"overlap": 86400}))
    assert opened_by(old) == opened_by(new) == key
    until = key.secrets.exclude(expires_at=None).get().expires_at
    assert until is not None
    assert dt.timedelta(hours=23) < until - timezone.now() <= dt.timedelta(days=1)
    newest = text_in(client.post(address, {"overlap": 0}))
    assert opened_by(old) is opened_by(new) is None
    assert opened_by(newest) == key


@pytest.mark.parametrize("overlap", ["", "-1", "99999999999", "soon"])
def test_an_overlap_that_is_not_offered_rotates_nothing(overlap: str, as_: SignIn, developer: User, own: Key) -> None:
    answer = as_(developer).post(reverse("admin:core_key_rotate", args=[own.pk]), {"overlap": overlap})
    assert 'role="alert"' in answer.content.decode()
    assert own.secrets.count() == 1


def test_a_key_is_revoked_after_a_question_and_not_changed_any_more(as_: SignIn, developer: User) -> None:
    key, text = make_key("Script", developer, by=None)
    address = reverse("admin:core_key_revoke", args=[key.pk])
    client = as_(developer)
    assert "cannot be undone" in client.get(address).content.decode()
    assert opened_by(text) == key
    client.post(address)
    assert opened_by(text) is None
    for page in ("rotate", "revoke"):
        assert client.post(reverse(f"admin:core_key_{page}", args=[key.pk]), {"overlap": 0}).status_code == 403
    assert client.post(reverse("admin:core_key_change", args=[key.pk]), filled()).status_code == 403
    assert key.secrets.count() == 1


def test_nobody_deletes_a_key(as_: SignIn, administrator: User, own: Key) -> None:
    assert as_(administrator).post(reverse("admin:core_key_delete", args=[own.pk]), {"post": "yes"}).status_code == 403


def test_a_retired_model_is_offered_only_to_a_key_that_has_it(as_: SignIn, developer: User, own: Key) -> None:
    old = ClaudeModel.objects.create(pk="old", display_name="Old", lifecycle=ClaudeModel.Lifecycle.RETIRED)
    client, page = as_(developer), reverse("admin:core_key_change", args=[own.pk])
    assert 'value="old"' not in client.get(page).content.decode()
    own.models_allowed.add(old)
    assert 'value="old"' in client.get(page).content.decode()


# --- Who sees which ---


def test_one_sees_ones_own_keys_only(as_: SignIn, developer: User, own: Key, anothers: Key) -> None:
    client = as_(developer)
    page = client.get(reverse(LIST)).content.decode()
    assert own.name in page
    assert "Another" not in page
    for address in pages_of(own):
        assert client.get(address).status_code == 200
    for address in pages_of(anothers):
        assert client.get(address).status_code in {302, 403, 404}, address
        assert client.post(address, {"overlap": 0}).status_code in {302, 403, 404}, address
    anothers.refresh_from_db()
    assert anothers.revoked_at is None
    assert anothers.secrets.count() == 1


@pytest.mark.parametrize("role", ["operator", "administrator"])
def test_those_who_look_after_all_keys_see_all(
    role: str, request: pytest.FixtureRequest, client: Client, own: Key, anothers: Key
) -> None:
    client.force_login(request.getfixturevalue(role))
    page = client.get(reverse(LIST)).content.decode()
    assert own.name in page
    assert "Another" in page
    for address in pages_of(anothers):
        assert client.get(address).status_code == 200


@pytest.mark.parametrize("role", ["outsider", "member", "editor", "publisher", "finance"])
def test_others_reach_no_page_of_a_key(
    role: str, request: pytest.FixtureRequest, client: Client, anothers: Key
) -> None:
    client.force_login(request.getfixturevalue(role))
    for address in [reverse(LIST), reverse(ADD), *pages_of(anothers)]:
        for answer in (client.get(address), client.post(address, filled(overlap=0))):
            # Django's answer for a row that is not there, or not for this person, is its first page.
            elsewhere = answer.status_code == 302 and "/core/key/" not in answer["Location"].split("?")[0]
            assert answer.status_code == 403 or elsewhere
            assert "Another" not in answer.content.decode()
    assert Key.objects.count() == 1
    assert anothers.secrets.count() == 1
    anothers.refresh_from_db()
    assert anothers.revoked_at is None


# --- What the pages say ---


def test_the_list_shows_what_each_key_spent_this_month_in_a_query_for_all(
    as_: SignIn, operator: User, own: Key, anothers: Key, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    call = Call.objects.create(key=own, user=own.user)
    record = CostRecord.objects.create(call=call, key=own, model="a", amount=Decimal("3.25"), request_id="r1")
    PendingRollup.objects.create(record=record)
    client = as_(operator)
    client.get(reverse(LIST))
    with django_assert_max_num_queries(20):
        page = client.get(reverse(LIST)).content.decode()
    assert page.count("$3.25") == 1


def test_revoked_keys_are_listed_for_who_looks_for_them(as_: SignIn, operator: User, own: Key, anothers: Key) -> None:
    revoke(own)
    client = as_(operator)
    assert own.name not in client.get(reverse(LIST)).content.decode()
    closed = client.get(reverse(LIST), {"state": "closed"}).content.decode()
    assert own.name in closed
    assert "Another" not in closed
    assert "for good" in client.get(reverse("admin:core_key_change", args=[own.pk])).content.decode()


def test_a_budget_for_a_key_is_a_link_away_for_who_may_make_one(
    as_: SignIn, administrator: User, operator: User, own: Key
) -> None:
    address = reverse("admin:core_key_change", args=[own.pk])
    client = as_(administrator)
    link = re.search(r'href="([^"]*budget/add[^"]*)"', client.get(address).content.decode())
    assert link
    form = client.get(link[1].replace("&amp;", "&")).content.decode()
    assert re.search(rf'<option value="{own.pk}" selected', form)
    assert "budget/add" not in as_(operator).get(address).content.decode()


# --- What chooses its model ---


@pytest.mark.parametrize(
    ("own", "answers"),
    [
        ({"route": "intent"}, "claude-sonnet-5-5"),
        ({"model": "best"}, "claude-opus-5-5"),
        ({"model": "claude-opus-5-5"}, "claude-opus-5-5"),
    ],
)
def test_what_is_chosen_in_the_form_answers_what_names_no_model(
    as_: SignIn, developer: User, ready_made: None, simulator: Simulator, own: dict[str, str], answers: str
) -> None:
    client = as_(developer)
    text = text_in(client.post(reverse(ADD), filled()))
    key = opened_by(text)
    assert key is not None
    chosen: dict[str, Any] = {**own, **({"route": Route.objects.get(slug="intent").pk} if "route" in own else {})}
    page = reverse("admin:core_key_change", args=[key.pk])
    client.post(page, filled(**chosen))
    key.refresh_from_db()
    assert {"route": str(key.route and key.route.slug), "model": key.model} == {"route": "None", "model": "", **own}

    text_asked = f"Hello. {says('task')}"
    messages = {"max_tokens": 50, "messages": [{"role": "user", "content": text_asked}]}
    for address, body in (
        ("/v1/messages", {**messages, "model": "auto"}),
        ("/api/chat", {"prompt": text_asked}),
        ("/api/chat", {"prompt": text_asked, "model": "auto"}),
    ):
        answer = Client().post(address, body, content_type="application/json", headers={"x-api-key": text})
        assert answer.status_code == 200, answer.content
        assert answer.json()["model"] == answers
        call = Call.objects.order_by("created_at").last()
        assert call is not None
        assert call.routing is not None
        assert call.routing["asked"] == next(iter(own.values()))
    # What it names itself counts.
    named = Client().post(
        "/v1/messages", {**messages, "model": "fast"}, content_type="application/json", headers={"x-api-key": text}
    )
    assert named.json()["model"] == "claude-haiku-5-5"


def test_a_key_has_a_route_or_a_model_of_its_own_and_one_that_answers(
    as_: SignIn, developer: User, own: Key, ready_made: None
) -> None:
    client, page = as_(developer), reverse("admin:core_key_change", args=[own.pk])
    both = client.post(page, filled(route=Route.objects.get(slug="auto").pk, model="fast")).content.decode()
    assert "Choose a route or a model of its own, not both." in both
    unknown = client.post(page, filled(model="nobody")).content.decode()
    assert "«nobody» is neither a model nor an alias." in unknown
    own.refresh_from_db()
    assert (own.route, own.model) == (None, "")


def test_a_key_says_when_its_own_choice_cannot_be_followed(
    as_: SignIn, developer: User, own: Key, ready_made: None
) -> None:
    client, page = as_(developer), reverse("admin:core_key_change", args=[own.pk])
    route = Route.objects.get(slug="auto")
    own.route = route
    own.save()
    assert "refused" not in client.get(page).content.decode()
    own.models_allowed.set(ClaudeModel.objects.filter(pk__in=["claude-haiku-5-5", "claude-sonnet-5-5"]))
    assert (
        "Its route «Auto» can lead to claude-opus-5-5, which this key may not use" in client.get(page).content.decode()
    )
    route.withdraw(None)
    assert "Its route «Auto» is not published" in client.get(page).content.decode()
    own.route, own.model = None, "best"
    own.save()
    own.models_allowed.clear()
    old = ClaudeModel.objects.get(pk="claude-opus-5-5")
    old.lifecycle = "retired"
    old.save()
    ModelAlias.objects.get(name="best").save()
    shown = client.get(page).content.decode()
    assert (
        "Its model «best» does not answer any more, so a request that names no model, or «auto», is refused." in shown
    )
    assert "«best» (Claude Opus 5.5) no longer answers." in shown
