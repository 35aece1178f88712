"""Does «Try it» run the saved draft for real, with its price before and its cost after?"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse

from core.execution.run import run_call
from core.models import Call, ClaudeModel, CostRecord, Prompt, User
from core.simulator.server import Simulator

SignIn = Callable[[User], Client]
INPUTS = {"input-document": "<b>Tea</b> {{length}} is warm.", "input-length": "long"}


def page_of(prompt: Prompt) -> str:
    return reverse("admin:core_prompt_try", args=[prompt.pk])


def test_a_try_runs_the_draft_and_shows_answer_and_cost(
    as_: SignIn, editor: User, prompt: Prompt, simulator: Simulator
) -> None:
    prompt.template = "Draft: {{document}} {{length}}"
    prompt.save()
    client = as_(editor)
    followed = client.post(page_of(prompt), INPUTS)
    call = Call.objects.get()
    assert (call.door, call.user) == (Call.Door.TRY, editor)
    assert call.request["messages"][0]["content"] == "Draft: <b>Tea</b> {{length}} is warm. long"
    assert str(call.pk) in followed["Location"]
    running = client.get(followed["Location"].split("#")[0]).content.decode()
    assert reverse("admin:core_prompt_answer", args=[prompt.pk, call.pk]) in running
    assert "&lt;b&gt;Tea&lt;/b&gt; {{length}} is warm." in running
    run_call(call.pk)
    call.refresh_from_db()
    panel = client.get(reverse("admin:core_prompt_answer", args=[prompt.pk, call.pk]))
    assert call.status == Call.Status.SUCCEEDED
    record = CostRecord.objects.get()
    text = panel.content.decode()
    assert f"{record.input_tokens:,} in, {record.output_tokens:,} out" in text
    assert "<b>Tea" not in text


def test_trying_does_not_publish(as_: SignIn, editor: User, prompt: Prompt) -> None:
    before = prompt.published
    prompt.template = "Draft: {{document}} {{length}}"
    prompt.save()
    as_(editor).post(page_of(prompt), INPUTS)
    prompt.refresh_from_db()
    assert prompt.published == before


def test_the_preview_is_counted_by_claude_and_priced(
    as_: SignIn, editor: User, prompt: Prompt, simulator: Simulator
) -> None:
    page = as_(editor).post(reverse("admin:core_prompt_preview", args=[prompt.pk]), INPUTS)
    preview = page.context["preview"]
    assert preview.estimate.counted
    assert preview.message.startswith("Summarise this text in a long form")
    assert preview.estimate.likely < preview.estimate.at_most
    assert "&lt;b&gt;Tea" in page.content.decode()


def test_without_claude_the_count_is_marked_as_estimated(as_: SignIn, editor: User, prompt: Prompt) -> None:
    ClaudeModel.objects.create(id="claude-nowhere", display_name="Nowhere")
    prompt.model_id = "claude-nowhere"
    prompt.save()
    page = as_(editor).post(page_of(prompt), {**INPUTS, "preview": "1"})
    assert "The tokens are estimated here." in page.content.decode()
    assert not Call.objects.exists()


def test_a_try_with_an_unusable_input_says_why_and_costs_nothing(as_: SignIn, editor: User, prompt: Prompt) -> None:
    page = as_(editor).post(page_of(prompt), {"input-document": "", "input-length": "medium"}).content.decode()
    assert "Please fill this in." in page
    assert "Please choose one of the options." in page
    assert not Call.objects.exists()


def test_a_draft_that_cannot_run_is_not_tried(as_: SignIn, editor: User, prompt: Prompt) -> None:
    prompt.variables.filter(name="length").delete()
    page = as_(editor).post(page_of(prompt), INPUTS).content.decode()
    assert "{{length}}" in page
    assert not Call.objects.exists()


@pytest.mark.parametrize("role", ["finance", "operator"])
def test_who_may_not_try_is_refused(role: str, request: pytest.FixtureRequest, client: Client, prompt: Prompt) -> None:
    client.force_login(request.getfixturevalue(role))
    for page in (page_of(prompt), reverse("admin:core_prompt_preview", args=[prompt.pk])):
        assert client.post(page, INPUTS).status_code == 403
    assert not Call.objects.exists()


def test_an_editor_does_not_read_somebody_elses_try(as_: SignIn, editor: User, publisher: User, prompt: Prompt) -> None:
    as_(publisher).post(page_of(prompt), INPUTS)
    call = Call.objects.get()
    client = as_(editor)
    assert client.get(reverse("admin:core_prompt_answer", args=[prompt.pk, call.pk])).status_code == 404
    assert str(call.pk) not in client.get(f"{page_of(prompt)}?call={call.pk}").content.decode().replace(
        f"?call={call.pk}", ""
    )
