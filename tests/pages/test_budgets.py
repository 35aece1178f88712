"""Does somebody who is refused learn why, keep what they typed, and can they ask for more?"""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoCaptureOnCommitCallbacks

from core.costs.raises import approve
from core.hints import aside
from core.intake.accept import accept
from core.models import Budget, BudgetRequest, BudgetWindow, Call, Prompt, User
from tests.books import forget_prices

URL = "/p/summarise/"
TYPED = {"document": "Words that took long to type.", "length": "short"}
LINK = '<a href="/budgets/"'
WISH = {"amount": "12.50", "reason": "A deadline"}


@pytest.fixture
def tight(finance: User) -> Budget:
    return Budget.objects.create(name="Tight", scope="organisation", amount=Decimal("0.0001"), owner=finance)


@pytest.fixture
def page(client: Client, member: User, prompt: Prompt, tight: Budget) -> Client:
    client.force_login(member)
    return client


def test_a_refusal_says_which_budget_what_is_left_and_keeps_what_was_typed(page: Client) -> None:
    answer = page.post(URL, TYPED)
    html = answer.content.decode()
    assert answer.status_code == 402
    assert "no room in the budget «Tight»" in html
    assert "$0.00010 of $0.00010" in html
    assert "This can cost at most" in html
    assert "Renews" in html
    assert "Words that took long to type.</textarea>" in html
    assert html.count("csrfmiddlewaretoken") == html.count('method="post"') == 3, "signing out, asking, and the form"
    assert not Call.objects.exists()


def test_without_a_price_the_reason_is_said_and_more_is_not_offered(page: Client, prompt: Prompt) -> None:
    forget_prices(prompt.model.prices.all())
    html = page.post(URL, TYPED).content.decode()
    assert "its price is not known" in html
    assert "Ask for more" not in html


def test_a_visitor_without_login_is_offered_to_sign_in(client: Client, prompt: Prompt, tight: Budget) -> None:
    Prompt.objects.update(access=Prompt.Access.EVERYONE)
    html = client.post(URL, TYPED).content.decode()
    assert "to ask for more" in html
    assert "/ask/" not in html


def test_a_person_asks_once_and_the_owner_is_told(
    page: Client,
    tight: Budget,
    member: User,
    finance: User,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        answer = page.post(f"/budgets/{tight.pk}/ask/", WISH, follow=True)
    html = answer.content.decode()
    assert "You have asked for more." in html
    assert "waits for a decision" in html
    asked = BudgetRequest.objects.get()
    assert (asked.user, asked.amount, asked.window.budget) == (member, Decimal("12.5"), tight)
    assert aside.wait(20)
    assert [message.to for message in mail.outbox] == [[finance.email]]

    html = page.post(f"/budgets/{tight.pk}/ask/", WISH).content.decode()
    assert "You have asked for more already" in html
    assert BudgetRequest.objects.count() == 1


def test_a_form_beside_another_one_gets_a_piece_of_a_page(page: Client, tight: Budget) -> None:
    piece = page.post(f"/budgets/{tight.pk}/ask/", {"amount": "x"}, headers={"HX-Request": "true"}).content.decode()
    assert "Please enter an amount such as 12.50." in piece
    assert "Please say what you need it for." in piece
    assert "<html" not in piece
    piece = page.post(f"/budgets/{tight.pk}/ask/", WISH, headers={"HX-Request": "true"}).content.decode()
    assert "You have asked for more." in piece


def test_an_approved_request_lets_the_call_through(page: Client, tight: Budget, finance: User) -> None:
    page.post(f"/budgets/{tight.pk}/ask/", WISH)
    approve(BudgetRequest.objects.get(), finance, "Fine")
    assert page.post(URL, TYPED).status_code == 302
    html = page.get("/budgets/").content.decode()
    assert "approved" in html
    assert "«Fine»" in html


def test_running_again_is_refused_on_a_page_of_its_own(
    page: Client, tight: Budget, prompt: Prompt, member: User
) -> None:
    BudgetWindow.objects.all().delete()
    Budget.objects.update(active=False)
    assert prompt.published
    call = accept(prompt.published, TYPED, user=member)
    Call.objects.update(status=Call.Status.FAILED)
    Budget.objects.update(active=True)
    answer = page.post(f"/calls/{call.pk}/again/")
    assert answer.status_code == 402
    assert "no room in the budget «Tight»" in answer.content.decode()


def test_a_budget_is_shown_to_those_it_counts_and_others_names_only_to_its_owner(
    client: Client, member: User, outsider: User, finance: User, prompt: Prompt
) -> None:
    mine = Budget.objects.create(name="Mine", scope="user", user=member, amount=1, owner=finance)
    Budget.objects.create(name="Everybody", scope="organisation", amount=1, owner=finance)
    assert prompt.published
    accept(prompt.published, TYPED, user=member)

    client.force_login(outsider)
    html = client.get("/budgets/").content.decode()
    assert "Everybody" in html
    assert "Mine" not in html
    assert client.get(f"/budgets/{mine.pk}/").status_code == 404
    assert client.post(f"/budgets/{mine.pk}/ask/", WISH).status_code == 404
    everybody = Budget.objects.get(name="Everybody")
    assert "Reserved by</h2>" not in client.get(f"/budgets/{everybody.pk}/").content.decode()
    client.force_login(finance)
    assert "Reserved by</h2>" in client.get(f"/budgets/{everybody.pk}/").content.decode()


def test_nobody_sees_budgets_without_signing_in(client: Client, tight: Budget) -> None:
    for address in ("/budgets/", f"/budgets/{tight.pk}/"):
        assert client.get(address).status_code == 302
    assert client.post(f"/budgets/{tight.pk}/ask/", WISH).status_code == 302


def test_canceling_gives_the_room_back(page: Client, prompt: Prompt, member: User, tight: Budget) -> None:
    Budget.objects.update(amount=1)
    page.post(URL, TYPED)
    assert BudgetWindow.objects.get().reserved > 0
    page.post(f"/calls/{Call.objects.get().pk}/cancel/")
    assert BudgetWindow.objects.get().reserved == 0


def test_whom_a_budget_concerns_finds_it_in_the_navigation(
    client: Client, member: User, finance: User, editor: User
) -> None:
    Budget.objects.create(name="Mine", scope="user", user=member, amount=1, owner=finance)
    for who, found in ((member, True), (finance, True), (editor, False)):
        client.force_login(who)
        assert (LINK in client.get("/calls/").content.decode()) is found, who


def test_a_budget_that_is_over_or_off_makes_no_entry(client: Client, member: User, finance: User) -> None:
    mine = Budget.objects.create(name="Mine", scope="user", user=member, amount=1, owner=finance, ends_on="2020-01-01")
    client.force_login(member)
    assert LINK not in client.get("/calls/").content.decode()
    Budget.objects.filter(pk=mine.pk).update(ends_on=None, active=False)
    assert LINK not in client.get("/calls/").content.decode()


def test_whom_no_budget_concerns_is_asked_for_with_one_statement(client: Client, member: User) -> None:
    client.force_login(member)
    with CaptureQueriesContext(connection) as queries:
        client.get("/calls/")
    assert len([query for query in queries if "core_budget" in query["sql"]]) == 1
