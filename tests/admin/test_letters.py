"""The pages of calls that were given up: who sees them, who acts, and what do they say?"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from core.intake.requests import Asking, accept_request
from core.models import Budget, Call, Handling, Prompt, User
from core.templatetags.admin_words import moment
from tests.letters import ended_dead, given_up

SignIn = Callable[[User], Client]
KINDS, HANDLED, ACT = (
    reverse("admin:core_letters"),
    reverse("admin:core_letters_handled"),
    reverse("admin:core_letters_act"),
)
KIND = reverse("admin:core_letters_kind")
OF_KIND = {"error": "overloaded_error", "model": "claude-haiku-5-5"}


@pytest.fixture
def letter(prompt: Prompt, member: User) -> Call:
    return given_up(prompt, member)


def edit_page(call: Call) -> str:
    return reverse("admin:core_letter_edit", args=[call.pk])


def act(client: Client, go: str, *calls: Call, **values: str) -> str:
    data = {**OF_KIND, "go": go, "chosen": [str(call.pk) for call in calls], "until": timezone.now().isoformat()}
    return client.post(ACT, {**data, **values}, follow=True).content.decode()


@pytest.mark.parametrize("who", ["outsider", "member", "editor"])
def test_nobody_without_leave_sees_or_does_anything(
    request: pytest.FixtureRequest, as_: SignIn, who: str, letter: Call
) -> None:
    client = as_(request.getfixturevalue(who))
    for page in (KINDS, HANDLED, f"{KIND}?error=overloaded_error&model=claude-haiku-5-5", edit_page(letter)):
        assert client.get(page).status_code in {302, 403}
    client.post(ACT, {**OF_KIND, "go": "dismiss-chosen", "chosen": [letter.pk], "confirmed": "1", "note": "x"})
    client.post(edit_page(letter), {"run": "1"})
    letter.refresh_from_db()
    assert letter.dead_since is not None
    assert not Handling.objects.exists()


def test_finance_looks_and_does_not_act(as_: SignIn, finance: User, letter: Call) -> None:
    client = as_(finance)
    page = client.get(KIND, OF_KIND).content.decode()
    assert "Dismiss" not in page
    assert client.post(ACT, {**OF_KIND, "go": "again-all"}).status_code == 403
    assert client.post(edit_page(letter)).status_code == 403


def test_without_letters_the_pages_say_so(as_: SignIn, operator: User) -> None:
    client = as_(operator)
    assert "No call is given up" in client.get(KINDS).content.decode()
    assert "Nothing was dealt with yet." in client.get(HANDLED).content.decode()
    assert client.get(KIND, OF_KIND).status_code == 302
    assert "given up, and nobody has dealt with" not in client.get(reverse("admin:index")).content.decode()


def test_the_list_shows_request_attempts_and_costs(as_: SignIn, operator: User, letter: Call) -> None:
    client = as_(operator)
    assert "1 call given up" in client.get(KINDS).content.decode()
    page = client.get(KIND, OF_KIND).content.decode()
    for shown in ("A text.", "0 failed attempts", "0 cost records", "Run it again", str(letter.user)):
        assert shown in page
    assert (
        "1 call of the queue given up, and nobody has dealt with it yet."
        in client.get(reverse("admin:index")).content.decode()
    )


def test_chosen_ones_run_again_after_the_price_was_shown(
    as_: SignIn, operator: User, prompt: Prompt, member: User
) -> None:
    letters = [given_up(prompt, member) for _ in range(2)]
    client = as_(operator)
    asked = act(client, "again-chosen", letters[0])
    assert "Run 1 call again?" in asked
    assert re.search(r"likely cost <strong>\$0\.\d+</strong>", asked)
    assert not Call.objects.filter(again_of=letters[0]).exists()
    assert "1 call runs again." in act(client, "again-chosen", letters[0], confirmed="1")
    assert Call.objects.get(again_of=letters[0]).user == member
    assert list(Call.objects.letters()) == [letters[1]]


def test_all_of_a_kind_run_again_at_a_pace(as_: SignIn, operator: User, prompt: Prompt, member: User) -> None:
    for _ in range(3):
        given_up(prompt, member)
    other = given_up(prompt, member, error_type="api_error")
    client = as_(operator)
    said = act(client, "again-all", confirmed="1", per_minute="1")
    assert Call.objects.filter(status=Call.Status.WAITING).count() == 2
    last = Call.objects.filter(not_before__isnull=False).latest("not_before").not_before
    assert last is not None
    # With its day: a thousand of them at this pace begin tomorrow.
    assert f"3 calls run again. The last one begins on {moment(last)}." in said
    assert list(Call.objects.letters()) == [other]


def test_what_came_after_the_page_was_drawn_is_not_meant_by_all(as_: SignIn, operator: User, letter: Call) -> None:
    early = letter.created_at.isoformat()
    assert "Nothing was chosen" in act(as_(operator), "dismiss-all", confirmed="1", note="Old", until=early)
    assert Call.objects.letters().exists()


def test_a_pace_that_takes_longer_than_a_day_is_refused_in_words(
    as_: SignIn, operator: User, prompt: Prompt, member: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("core.admin.letter_actions.LONGEST_SPREAD", 1)
    for _ in range(3):
        given_up(prompt, member)
    assert "At least 3 a minute, please." in act(as_(operator), "again-all", confirmed="1", per_minute="1")
    assert Call.objects.letters().count() == 3


def test_what_waits_for_its_turn_already_counts_towards_the_day(
    as_: SignIn, operator: User, prompt: Prompt, member: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None begins later than a day from now, however often the button is pressed."""
    monkeypatch.setattr("core.admin.letter_actions.LONGEST_SPREAD", 4)
    client = as_(operator)
    for _ in range(4):
        given_up(prompt, member)
    assert "4 calls run again." in act(client, "again-all", confirmed="1", per_minute="1")
    given_up(prompt, member)
    given_up(prompt, member)
    assert "At least 2 a minute, please." in act(client, "again-all", confirmed="1", per_minute="1")
    monkeypatch.setattr("core.admin.letter_actions.LONGEST_SPREAD", 2)
    assert "already take a day. Please come back later." in act(client, "again-all", confirmed="1", per_minute="1")
    assert Call.objects.letters().count() == 2


def test_over_budget_the_page_says_so_in_a_sentence(as_: SignIn, operator: User, letter: Call, prompt: Prompt) -> None:
    Budget.objects.create(
        name="Small", scope="prompt", prompt=prompt, amount=Decimal("0.0000001"), period="month", owner=operator,
        hard=True, starts_on=timezone.localdate(),
    )  # fmt: skip
    page = act(as_(operator), "again-chosen", letter, confirmed="1")
    assert "1 call not run again. Over budget. The budget «Small» has no room for this" in page


def test_dismissing_takes_a_note_and_is_kept(as_: SignIn, operator: User, letter: Call) -> None:
    client = as_(operator)
    assert "Please say in a few words why." in act(client, "dismiss-chosen", letter, confirmed="1", note=" ")
    assert "1 call dismissed." in act(client, "dismiss-chosen", letter, confirmed="1", note="Asked by mistake")
    for page in (HANDLED, reverse("admin:core_call_change", args=[letter.pk])):
        text = client.get(page).content.decode()
        assert "Asked by mistake" in text
        assert str(operator) in text


def test_a_letter_is_edited_and_runs_again_once_its_price_was_seen(
    as_: SignIn, operator: User, letter: Call, member: User
) -> None:
    client = as_(operator)
    page = client.get(edit_page(letter)).content.decode()
    assert "A text." in page
    changed = {"input-document": "A longer text, with more to say.", "input-length": "long", "run": "1"}
    page = client.post(edit_page(letter), {**changed, "priced": _priced(page)}).content.decode()
    assert "This is what it will likely cost now." in page
    assert Call.objects.letters().exists()
    client.post(edit_page(letter), {**changed, "priced": _priced(page)})
    fresh = Call.objects.get(again_of=letter)
    assert (fresh.inputs["document"], fresh.user) == ("A longer text, with more to say.", member)
    assert not Call.objects.letters().exists()
    assert client.get(edit_page(letter), follow=True).redirect_chain


def test_while_it_is_edited_only_the_price_is_drawn_anew(as_: SignIn, operator: User, letter: Call) -> None:
    typed = {"input-document": "x " * 500, "input-length": "long"}
    piece = as_(operator).post(edit_page(letter), typed, headers={"HX-Request": "true"}).content.decode()
    assert piece.lstrip().startswith('<div id="price">')
    assert _priced(piece)


def test_a_programs_request_is_edited_as_json(as_: SignIn, operator: User, catalogue: None, member: User) -> None:
    body = {"model": "claude-haiku-5-5", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
    call = ended_dead(accept_request(body, Asking(member, None, Call.Door.API, Call.Lane.QUEUE)))
    client = as_(operator)
    assert "must be an object with" in client.post(edit_page(call), {"request": "[1]", "run": "1"}).content.decode()
    better = {**body, "max_tokens": 99}
    page = client.post(edit_page(call), {"request": json.dumps(better), "look": "1"}).content.decode()
    client.post(edit_page(call), {"request": json.dumps(better), "run": "1", "priced": _priced(page)})
    assert Call.objects.get(again_of=call).request == better


@pytest.mark.parametrize(
    ("odd", "says"),
    [
        ('"temperature": NaN', "Enter a valid JSON"),
        ('"temperature": 1e400', "Enter a valid JSON"),
        ('"system": "\\ud800"', "Enter a valid JSON"),
        ('"system": ' + "[" * 100_000 + "]" * 100_000, "Enter a valid JSON"),
        ('"system": ' + "[" * 300 + "]" * 300, "nested more than 200 levels deep"),
        ('"max_tokens": 1e30', "must be a whole number, and at most"),
        ('"max_tokens": 1' + "0" * 400, "must be a whole number, and at most"),
        (
            '"tools": [{"type": "web_search_20250305", "name": "web_search", "max_uses": 1e300}]',
            "There is no price until",
        ),
        ('"system": "\\u0000", "speed": "\\u0000"', ""),
    ],
)
def test_what_no_request_can_be_is_refused_in_words(
    odd: str, says: str, as_: SignIn, operator: User, catalogue: None, member: User
) -> None:
    body = {"model": "claude-haiku-5-5", "max_tokens": 50, "messages": [{"role": "user", "content": "Hello"}]}
    call = ended_dead(accept_request(body, Asking(member, None, Call.Door.API, Call.Lane.QUEUE)))
    client, edited = as_(operator), {"request": f"{json.dumps(body)[:-1]}, {odd}}}", "run": "1"}
    page = client.post(edit_page(call), edited).content.decode()
    if 'name="priced"' in page and _priced(page):
        page = client.post(edit_page(call), {**edited, "priced": _priced(page)}, follow=True).content.decode()
    assert says in page


@pytest.mark.parametrize("until", ["2026-99-99T00:00", "2026-11-22T00:00", "0001-01-01T00:00+23:59", "soon"])
def test_until_what_moment_nobody_can_tell_nothing_is_meant(
    until: str, as_: SignIn, operator: User, letter: Call
) -> None:
    assert "Nothing was chosen" in act(as_(operator), "dismiss-all", confirmed="1", note="Old", until=until)


def _priced(page: str) -> str:
    found = re.search(r'name="priced" value="(\w+)"', page)
    assert found is not None
    return found[1]
