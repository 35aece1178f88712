"""Does the editor say what the edit in hand would have cost last month?"""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from core.execution.run import run_call
from core.intake.accept import accept
from core.models import CostRecord, Prompt, User
from core.reports.edits import edit_effect
from core.reports.rollups import roll_up_all
from core.simulator.server import Simulator


@pytest.fixture
def traffic(prompt: Prompt, member: User, simulator: Simulator) -> Prompt:
    """A prompt with three runs, two of them in the sums and one still pending."""
    assert prompt.published is not None
    for number in range(3):
        run_call(accept(prompt.published, {"document": "Tea is warm. " * 9, "length": "short"}, user=member).pk)
        if number == 1:
            roll_up_all()
    return prompt


def spent() -> D:
    return sum((record.amount or D(0) for record in CostRecord.objects.all()), D(0))


def test_a_longer_text_costs_its_tokens_more(traffic: Prompt) -> None:
    # 3,500 characters are 1,000 tokens, each at 0.1 per million
    traffic.template += "a" * 3500
    traffic.save()

    found = edit_effect(traffic)

    assert found is not None
    assert (found.cost, found.exchanges) == (spent(), 3)
    assert abs(found.would_cost - (spent() + 3 * D("0.0001"))) < D("0.000001")
    assert found.dearer


def test_another_model_is_charged_at_its_price(traffic: Prompt) -> None:
    # sonnet 5.5 costs 20 times what haiku 5.5 does, in (2 to 0.1) and out (10 to 0.5)
    traffic.model_id = "claude-sonnet-5-5"
    traffic.save()

    found = edit_effect(traffic)

    assert found is not None
    assert found.would_cost == 20 * spent()


def test_an_input_that_is_used_twice_counts_twice(traffic: Prompt) -> None:
    traffic.template += "{{document}}"
    traffic.save()

    found = edit_effect(traffic)

    # 13 × 9 = 117 characters are 33 or 34 tokens at 0.1 per million, three times
    assert found is not None
    assert D("0.0000098") < found.would_cost - spent() < D("0.0000104")


def test_without_an_edit_or_traffic_there_is_nothing_to_say(traffic: Prompt) -> None:
    assert edit_effect(traffic) is None
    traffic.template = "{{document}} {{length}} {{nobody}}"
    traffic.save()
    assert edit_effect(traffic) is None


def test_a_prompt_that_nobody_ran_says_nothing(prompt: Prompt) -> None:
    prompt.max_tokens = 7
    prompt.save()

    assert edit_effect(prompt) is None


def test_its_cost_does_not_grow_with_the_traffic(
    traffic: Prompt, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    traffic.model_id = "claude-sonnet-5-5"
    traffic.save()

    # the published version, the variables, the exchanges, a price for each of two models, and the month's sum
    with django_assert_max_num_queries(8):
        edit_effect(Prompt.objects.select_related("published").get())


def test_the_editor_and_the_page_before_publishing_say_so(client: Client, administrator: User, traffic: Prompt) -> None:
    traffic.template += "a" * 3500
    traffic.save()
    client.force_login(administrator)

    for name in ("change", "publish"):
        text = client.get(reverse(f"admin:core_prompt_{name}", args=[traffic.pk])).content.decode()
        assert "This edit × the traffic of the last 30 days = <strong>$" in text
        assert "than now" not in text


def test_who_may_not_see_what_was_spent_is_told_the_difference_alone(
    client: Client, publisher: User, traffic: Prompt
) -> None:
    traffic.template += "a" * 3500
    traffic.save()
    client.force_login(publisher)

    for name in ("change", "publish"):
        text = client.get(reverse(f"admin:core_prompt_{name}", args=[traffic.pk])).content.decode()
        said = text.partition("This edit × the traffic of the last 30 days = ")[2].partition("</p>")[0]
        assert "more than now" in said
        assert said.count("$") == 1
