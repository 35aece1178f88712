"""Does a price count only once a second person has seen what it changes?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal as D
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from core.costs import approvals, prices
from core.costs.approvals import RefusedPriceError
from core.execution.run import run_call
from core.intake.accept import accept
from core.models import Price, Prompt, User
from core.simulator.server import Simulator

SignIn = Callable[[User], Client]
SONNET = "claude-sonnet-5-5"
FACTORS = {"batch_factor": "0.5", "us_factor": "1.1", "priority_factor": "1"}
DATA = {
    "model": SONNET,
    "speed": "standard",
    "valid_from": "2030-01-01",
    "above_input_tokens": "0",
    "input": "1.5",
    "output": "7.5",
    **FACTORS,
}
ADD = "admin:core_price_add"


def draft(by: User | None, **values: Any) -> Price:
    usual = {"model_id": SONNET, "valid_from": dt.date(2030, 1, 1), "input": D("1.5"), "output": D("7.5")}
    return Price.objects.create(**{**usual, "created_by": by, **values})


def page_of(price: Price, name: str = "approve") -> str:
    return reverse(f"admin:core_price_{name}", args=[price.pk])


def approve(client: Client, price: Price, **more: str) -> str:
    """Approve what the page shows; answers the page that this leads to."""
    shown = client.get(page_of(price)).context["shown"]
    return client.post(page_of(price), {"shown": shown, **more}, follow=True).content.decode()


def input_rate(day: dt.date = dt.date(2030, 1, 1)) -> D | None:
    price = Price.objects.of(SONNET, day, 1)
    return price.input if price else None


@pytest.fixture
def second(person: Callable[..., User]) -> User:
    return person("second", "Finance", staff=True)


def test_a_price_counts_once_a_second_person_approves_it(
    as_: SignIn, finance: User, second: User, catalogue: None
) -> None:
    saved = as_(finance).post(reverse(ADD), DATA)
    price = Price.objects.get(approved_at=None)
    assert saved["Location"] == page_of(price)
    assert price.created_by == finance
    assert input_rate() == D(2)

    assert "Somebody else has to approve this" in as_(finance).get(page_of(price)).content.decode()
    assert as_(finance).post(page_of(price), {"shown": "x"}).status_code == 403
    assert input_rate() == D(2)

    text = as_(second).get(page_of(price)).content.decode()
    assert '<td data-label="Until then">2</td>' in text
    assert '<td data-label="Draft"><strong class="ca-badge ca-warn">1.5</strong>' in text
    approve(as_(second), price)
    price.refresh_from_db()
    assert (price.approved_by, price.approved_at is not None) == (second, True)
    assert input_rate() == D("1.5")
    assert input_rate(dt.date(2029, 12, 31)) == D(2)


def test_who_has_the_right_to_approves_their_own(as_: SignIn, administrator: User, catalogue: None) -> None:
    price = draft(administrator)

    approve(as_(administrator), price)

    assert input_rate() == D("1.5")


def test_whoever_changes_a_draft_does_not_approve_it(as_: SignIn, finance: User, second: User, catalogue: None) -> None:
    price = draft(second)

    as_(finance).post(page_of(price, "change"), {**DATA, "input": "1.4"})

    price.refresh_from_db()
    assert (price.input, price.created_by) == (D("1.4"), finance)
    assert as_(finance).post(page_of(price), {"shown": "x"}).status_code == 403


@pytest.mark.parametrize("role", ["editor", "publisher", "operator", "member"])
def test_others_approve_nothing(role: str, request: pytest.FixtureRequest, client: Client, catalogue: None) -> None:
    price = draft(None)
    client.force_login(request.getfixturevalue(role))

    assert client.post(page_of(price), {"shown": "x"}).status_code in {302, 403}
    assert client.post(page_of(price, "correct")).status_code in {302, 403}
    assert input_rate() == D(2)


@pytest.mark.parametrize("changed", [{"input": D(9)}, {"model_id": "claude-haiku-5-5"}])
def test_what_changed_since_it_was_shown_is_not_approved(
    as_: SignIn, second: User, catalogue: None, changed: dict[str, Any]
) -> None:
    price = draft(None)
    client = as_(second)
    shown = client.get(page_of(price)).context["shown"]
    Price.objects.filter(pk=price.pk).update(**changed)

    text = client.post(page_of(price), {"shown": shown}, follow=True).content.decode()

    assert "Somebody changed this in the meantime" in text
    assert Price.objects.drafts().get() == price


def test_what_changes_while_it_is_approved_is_refused(second: User, finance: User, catalogue: None) -> None:
    """Read before a colleague saved, and approved after."""
    seen = draft(finance)
    Price.objects.filter(pk=seen.pk).update(input=D(9))

    with pytest.raises(RefusedPriceError, match="changed"):
        approvals.approve([seen], second)
    assert input_rate() == D(2)


def test_the_bands_of_a_price_are_approved_together(as_: SignIn, second: User, catalogue: None) -> None:
    base = draft(None)
    band = draft(None, above_input_tokens=200_000, input=D(3))

    approve(as_(second), band)

    base.refresh_from_db()
    assert base.approved_at is not None
    long = Price.objects.of(SONNET, dt.date(2030, 1, 1), 200_001)
    assert long == band


def test_an_approved_price_is_neither_edited_nor_deleted(as_: SignIn, administrator: User, catalogue: None) -> None:
    price = Price.objects.get(model_id=SONNET)
    client = as_(administrator)

    assert client.post(page_of(price, "change"), {**DATA, "input": "9"}).status_code == 403
    assert client.post(page_of(price, "delete"), {"post": "yes"}).status_code == 403
    listed = {"action": "delete_selected", "_selected_action": [price.pk], "post": "yes"}
    client.post(reverse("admin:core_price_changelist"), listed)
    assert Price.objects.get(pk=price.pk).input == D(2)


def test_a_draft_is_deleted(as_: SignIn, finance: User, catalogue: None) -> None:
    price = draft(finance)

    as_(finance).post(page_of(price, "delete"), {"post": "yes"})

    assert not Price.objects.filter(pk=price.pk).exists()


def test_a_wrong_price_is_replaced_by_a_corrected_copy(
    as_: SignIn, finance: User, second: User, catalogue: None
) -> None:
    wrong = Price.objects.get(model_id=SONNET)
    as_(finance).post(page_of(wrong, "correct"))
    as_(finance).post(page_of(wrong, "correct"))
    copy = Price.objects.get(approved_at=None)
    fields = {**DATA, "valid_from": str(wrong.valid_from), "input": "2.1", "output": "10"}
    assert as_(finance).post(page_of(copy, "change"), fields).status_code == 302
    assert input_rate() == D(2)

    approve(as_(second), copy)

    wrong.refresh_from_db()
    assert (wrong.input, wrong.replaced_by) == (D(2), copy)
    assert input_rate() == D("2.1")
    assert "what replaced it" in as_(second).get(page_of(wrong, "change")).content.decode()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"input": "-1"}, "Ensure this value is greater than or equal to 0."),
        ({"output": ""}, "without it every cost would be unknown"),
        ({"input": "0.0000015"}, "is a thousand times off the 2"),
        ({"input": "0"}, "free of charge"),
        ({"above_input_tokens": "1000"}, "short inputs would have no price"),
        ({"valid_until": "2030-02-01"}, "there would be no price"),
    ],
)
def test_what_cannot_be_meant_is_refused_beside_its_field(
    as_: SignIn, finance: User, catalogue: None, change: dict[str, str], sentence: str
) -> None:
    page = as_(finance).post(reverse(ADD), {**DATA, **change})

    assert page.status_code == 200
    assert sentence in page.content.decode()
    assert not Price.objects.filter(approved_at=None).exists()


def test_what_is_meant_is_confirmed_by_writer_and_approver(
    as_: SignIn, finance: User, second: User, catalogue: None
) -> None:
    as_(finance).post(reverse(ADD), {**DATA, "input": "0", "meant": "on"})
    price = Price.objects.get(approved_at=None)

    assert "free of charge" in approve(as_(second), price)
    assert input_rate() == D(2)

    approve(as_(second), price, meant="yes")
    assert input_rate() == D(0)


def test_a_contract_price_is_refused_where_another_counts_on_the_same_day(
    as_: SignIn, finance: User, catalogue: None
) -> None:
    march = {**DATA, "contract": "on", "valid_from": "2030-03-01", "valid_until": "2030-03-31"}
    client = as_(finance)
    assert client.post(reverse(ADD), march).status_code == 302

    again = client.post(reverse(ADD), march).content.decode()
    assert "There is a draft for this model, day and length of input already." in again
    page = client.post(reverse(ADD), {**march, "valid_from": "2030-03-15"}).content.decode()
    assert "This overlaps with the contract price from 1 March 2030 until 31 March 2030" in page


def test_an_overlap_that_came_in_the_meantime_is_refused_at_approval(second: User, catalogue: None) -> None:
    march = draft(None, contract=True, valid_until=dt.date(2030, 1, 31))
    other = draft(None, contract=True, valid_from=dt.date(2030, 1, 15))
    prices.put_in_force(other, None)

    with pytest.raises(RefusedPriceError, match="overlaps"):
        approvals.approve([march], second)
    assert input_rate() == D(2)


def test_the_page_says_what_last_months_traffic_would_have_cost(
    as_: SignIn, second: User, member: User, prompt: Prompt, simulator: Simulator
) -> None:
    assert prompt.published is not None
    run_call(accept(prompt.published, {"document": "Tea is warm.", "length": "short"}, user=member).pk)
    usual = Price.objects.get(model_id=prompt.model_id, above_input_tokens=0)
    doubled = draft(None, model_id=prompt.model_id, input=usual.input * 2, output=usual.output * 2)  # type: ignore[operator]

    effect = as_(second).get(page_of(doubled)).context["effect"]

    assert effect.exchanges == 1
    assert effect.would_cost == 2 * effect.cost > 0
    assert effect.unknown == 0
    Price.objects.filter(pk=doubled.pk).update(output=None)
    without = as_(second).get(page_of(doubled))
    assert (without.context["effect"].exchanges, without.context["effect"].unknown) == (0, 1)
    assert "Of 1 more the cost would be unknown" in without.content.decode()


def test_the_start_page_names_prices_that_wait(as_: SignIn, finance: User, editor: User, catalogue: None) -> None:
    assert "Waiting for approval" not in as_(finance).get(reverse("admin:index")).content.decode()
    draft(None)

    assert (
        "Waiting for approval, and not counting yet: 1 price."
        in as_(finance).get(reverse("admin:index")).content.decode()
    )
    assert "Waiting for approval" not in as_(editor).get(reverse("admin:index")).content.decode()
    listed = as_(finance).get(reverse("admin:core_price_changelist"), {"state": "draft"})
    assert listed.status_code == 200
    assert list(listed.context["cl"].queryset) == list(Price.objects.filter(approved_at=None))


@pytest.mark.parametrize("way", ["its page", "the list"])
def test_deleting_a_proposal_of_the_source_declines_it(as_: SignIn, finance: User, catalogue: None, way: str) -> None:
    proposed = draft(None, source="genai-prices")
    own = draft(None, valid_from=dt.date(2031, 1, 1))
    client = as_(finance)
    if way == "its page":
        for price in (proposed, own):
            client.post(reverse("admin:core_price_delete", args=[price.pk]), {"post": "yes"})
    else:
        chosen = {"action": "delete_selected", "_selected_action": [proposed.pk, own.pk], "post": "yes"}
        client.post(reverse("admin:core_price_changelist"), chosen)

    assert not Price.objects.filter(pk=own.pk).exists()
    assert not Price.objects.drafts().exists()
    page = client.get(reverse("admin:core_price_change", args=[proposed.pk])).content.decode()
    assert "It is not proposed again" in page
    listed = client.get(reverse("admin:core_price_changelist"))
    assert proposed not in listed.context["cl"].queryset
    declined = client.get(reverse("admin:core_price_changelist"), {"state": "declined"})
    assert list(declined.context["cl"].queryset) == [proposed]
    assert "was declined" in client.get(page_of(proposed), follow=True).content.decode()
