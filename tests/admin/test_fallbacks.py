"""Who sets what answers instead of a model, and who lets a failing model be asked again?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from core.claude.errors import ClaudeError
from core.execution import breaker
from core.intake.keys import make_key
from core.models import ClaudeModel, FallbackChain, Prompt, User

SignIn = Callable[[User], Client]
LIST, ADD, BREAKERS = "admin:core_fallbackchain_changelist", "admin:core_fallbackchain_add", "admin:core_breakers"
HAIKU = "claude-haiku-5-5"


def filled(*models: str, **values: Any) -> dict[str, Any]:
    data = {"name": "Cheap first", "steps-TOTAL_FORMS": len(models), "steps-INITIAL_FORMS": 0, **values}
    for number, model in enumerate(models):
        data |= {f"steps-{number}-model": model, f"steps-{number}-position": number}
    return data


def fail(model: str, times: int) -> None:
    for _ in range(times):
        breaker.note_error(model, ClaudeError("overloaded_error", "Overloaded", status=529, retryable=True))


def state_of(model: str) -> str:
    return next((each.state for each in breaker.states() if each.model == model), "none")


# --- Chains ---


def test_a_chain_keeps_its_order_and_its_written_answer(as_: SignIn, operator: User, catalogue: None) -> None:
    other = ClaudeModel.objects.usable().exclude(pk=HAIKU).order_by("pk").values_list("pk", flat=True)[0]
    as_(operator).post(reverse(ADD), filled(other, HAIKU, answer="Please call us."))
    chain = FallbackChain.objects.get()
    assert (chain.model_names(), chain.answer) == ([other, HAIKU], "Please call us.")
    page = as_(operator).get(reverse(LIST)).content.decode()
    assert f"{other} → {HAIKU}" in page


def test_a_model_without_a_place_comes_last(as_: SignIn, operator: User, catalogue: None) -> None:
    as_(operator).post(reverse(ADD), {**filled("b", "a", "c"), "steps-0-position": "", "steps-1-position": "7"})
    chain = FallbackChain.objects.get()
    assert list(chain.steps.values_list("model", "position")) == [("c", 0), ("a", 1), ("b", 2)]


def test_one_chain_only_is_the_usual_one(as_: SignIn, operator: User, catalogue: None) -> None:
    FallbackChain.objects.create(name="First", is_default=True)
    page = as_(operator).post(reverse(ADD), filled(HAIKU, is_default="on")).content.decode()
    assert "Another chain is the usual one already." in page
    assert FallbackChain.objects.count() == 1


def test_a_model_is_in_a_chain_once(as_: SignIn, operator: User, catalogue: None) -> None:
    page = as_(operator).post(reverse(ADD), filled(HAIKU, HAIKU)).content.decode()
    assert f"Each model answers once in a chain: {HAIKU} is there twice." in page
    assert not FallbackChain.objects.exists()


def test_what_is_doubtful_is_said_after_saving_and_later(as_: SignIn, operator: User, catalogue: None) -> None:
    ClaudeModel.objects.filter(pk=HAIKU).update(lifecycle=ClaudeModel.Lifecycle.RETIRED)
    old = ClaudeModel.objects.usable().order_by("pk")[0]
    ClaudeModel.objects.filter(pk=old.pk).update(lifecycle=ClaudeModel.Lifecycle.DEPRECATED)
    client = as_(operator)
    saved = client.post(reverse(ADD), filled("claude-nobody", HAIKU, old.pk), follow=True).content.decode()
    later = client.get(reverse("admin:core_fallbackchain_change", args=[FallbackChain.objects.get().pk]))
    for page in (saved, later.content.decode()):
        assert "«claude-nobody» is no model, alias or route known here" in page
        assert "no longer answers, so it is passed over" in page
        assert "is being phased out" in page


def test_a_chain_that_changes_nothing_is_said_to(as_: SignIn, operator: User) -> None:
    assert "so it changes nothing" in as_(operator).post(reverse(ADD), filled(), follow=True).content.decode()


def test_a_chain_says_where_it_is_used_and_stays_while_it_is(
    as_: SignIn, operator: User, member: User, prompt: Prompt
) -> None:
    chain = FallbackChain.objects.create(name="Cheap first", answer="Please call us.")
    key, _ = make_key("Nightly report", member, by=None, fallback=chain)
    Prompt.objects.filter(pk=prompt.pk).update(fallback=chain)
    client = as_(operator)
    page = client.get(reverse("admin:core_fallbackchain_change", args=[chain.pk])).content.decode()
    assert reverse("admin:core_key_change", args=[key.pk]) in page
    assert reverse("admin:core_prompt_change", args=[prompt.pk]) in page
    assert "1 prompt, 1 key" in client.get(reverse(LIST)).content.decode()
    client.post(reverse("admin:core_fallbackchain_delete", args=[chain.pk]), {"post": "yes"})
    assert FallbackChain.objects.exists()


@pytest.mark.parametrize("role", ["outsider", "member", "editor", "publisher", "finance"])
def test_others_reach_neither_chains_nor_breakers(
    role: str, request: pytest.FixtureRequest, client: Client, db: None
) -> None:
    chain = FallbackChain.objects.create(name="Cheap first")
    fail(HAIKU, 50)
    client.force_login(request.getfixturevalue(role))
    change = reverse("admin:core_fallbackchain_change", args=[chain.pk])
    for address in (reverse(LIST), reverse(ADD), change, reverse(BREAKERS)):
        for answer in (client.get(address), client.post(address, filled(model=HAIKU))):
            assert answer.status_code == 403 or reverse("admin:login") in answer["Location"]
    assert FallbackChain.objects.get().name == "Cheap first"
    assert state_of(HAIKU) == "open"


# --- Breakers ---


def test_without_failures_the_page_says_so(as_: SignIn, operator: User) -> None:
    assert "all are asked" in as_(operator).get(reverse(BREAKERS)).content.decode()


def test_an_open_breaker_is_shown_and_closed_by_a_button(as_: SignIn, operator: User) -> None:
    fail(HAIKU, 50)
    client = as_(operator)
    page = client.get(reverse(BREAKERS)).content.decode()
    assert HAIKU in page
    assert "left alone" in page
    told = client.post(reverse(BREAKERS), {"model": HAIKU}, follow=True).content.decode()
    assert f"{HAIKU} is asked again from now on." in told
    assert state_of(HAIKU) in {"closed", "none"}


def test_who_may_only_look_cannot_reset(as_: SignIn, person: Callable[..., User]) -> None:
    looker = person("looker", staff=True)
    looker.user_permissions.add(Permission.objects.get(codename="view_fallbackchain"))
    fail(HAIKU, 50)
    client = as_(looker)
    assert (
        "<button" not in client.get(reverse(BREAKERS)).content.decode().partition("ca-table")[2].partition("/table")[0]
    )
    assert client.post(reverse(BREAKERS), {"model": HAIKU}).status_code == 403
    assert state_of(HAIKU) == "open"


@pytest.mark.parametrize("model", ["", "claude-nobody", "<script>"])
def test_a_model_that_never_failed_is_not_reset(model: str, as_: SignIn, operator: User) -> None:
    page = as_(operator).post(reverse(BREAKERS), {"model": model}, follow=True).content.decode()
    assert "nothing to do" in page
    assert breaker.states() == []
