"""Does the editor refuse what could not run, name what is wrong, and leave hostile text as text?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from core.models import ClaudeModel, Prompt, SystemPrompt, User, Variable

HOSTILE = "{{ x|safe }} {% include 'a' %} {0.__class__} <script>alert(1)</script>"
Submission = Callable[..., dict[str, Any]]
SignIn = Callable[[User], Client]


def save(client: Client, prompt: Prompt, data: dict[str, Any]) -> str:
    """The page that saving leads to, as text."""
    return client.post(reverse("admin:core_prompt_change", args=[prompt.pk]), data, follow=True).content.decode()


def test_an_undefined_variable_is_refused_and_named_beside_the_template(
    as_: SignIn, editor: User, prompt: Prompt, submission: Submission
) -> None:
    before = prompt.template
    page = as_(editor).post(
        reverse("admin:core_prompt_change", args=[prompt.pk]),
        submission(prompt, template="{{document}} {{length}} {{nobody}} {{else}}"),
    )
    assert "{{nobody}}, {{else}}" in page.context["adminform"].form.errors["template"][0]
    prompt.refresh_from_db()
    assert prompt.template == before


def test_an_undefined_variable_of_the_system_prompt_is_named_beside_it(
    as_: SignIn, editor: User, prompt: Prompt, submission: Submission
) -> None:
    system = SystemPrompt.objects.create(name="Tone", text="Be {{mood}}.")
    page = as_(editor).post(
        reverse("admin:core_prompt_change", args=[prompt.pk]), submission(prompt, system_prompt=system.pk)
    )
    assert "{{mood}}" in page.context["adminform"].form.errors["system_prompt"][0]


def test_a_variable_added_in_the_same_submission_counts(
    as_: SignIn, editor: User, prompt: Prompt, submission: Submission
) -> None:
    new = {
        "variables-TOTAL_FORMS": 3,
        "variables-2-name": "tone",
        "variables-2-label": "Tone",
        "variables-2-kind": "text",
        "variables-2-position": 3,
        "variables-2-prompt": prompt.pk,
    }
    save(as_(editor), prompt, submission(prompt, template="{{document}} {{length}} {{tone}}", **new))
    assert prompt.variables.filter(name="tone").exists()


def test_a_variable_deleted_in_the_same_submission_counts_as_undefined(
    as_: SignIn, editor: User, prompt: Prompt, submission: Submission
) -> None:
    page = save(as_(editor), prompt, submission(prompt, **{"variables-0-DELETE": "on"}))
    assert "{{document}}" in page
    assert prompt.variables.count() == 2


def test_an_unused_variable_is_saved_and_named_as_a_warning(
    as_: SignIn, editor: User, prompt: Prompt, submission: Submission
) -> None:
    page = save(as_(editor), prompt, submission(prompt, template="Only {{document}}"))
    prompt.refresh_from_db()
    assert prompt.template == "Only {{document}}"
    assert "The prompt does not use {{length}}" in page


def test_hostile_text_in_a_template_stays_text(
    as_: SignIn, editor: User, prompt: Prompt, submission: Submission
) -> None:
    page = save(as_(editor), prompt, submission(prompt, template=f"{{{{document}}}} {{{{length}}}} {HOSTILE}"))
    prompt.refresh_from_db()
    assert prompt.template.endswith(HOSTILE)
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"max_tokens": 900_000}, "max_tokens", "at most 128,000"),
        ({"output_schema": "[1]"}, "output_schema", "JSON object"),
        ({"model": "claude-haiku-4-5-20251001", "effort": "high", "max_tokens": 500}, "effort", "leave this empty"),
        ({"model": "claude-opus-4-5-20251101", "effort": "max", "max_tokens": 500}, "effort", "Low, Medium, High only"),
    ],
)
def test_what_claude_would_refuse_is_refused_with_its_reason(
    changes: dict[str, Any],
    field: str,
    words: str,
    as_: SignIn,
    editor: User,
    prompt: Prompt,
    submission: Submission,
) -> None:
    page = as_(editor).post(reverse("admin:core_prompt_change", args=[prompt.pk]), submission(prompt, **changes))
    assert words in page.context["adminform"].form.errors[field][0]


def test_groups_without_a_group_are_refused(
    as_: SignIn, publisher: User, prompt: Prompt, submission: Submission
) -> None:
    page = as_(publisher).post(
        reverse("admin:core_prompt_change", args=[prompt.pk]), submission(prompt, access="groups")
    )
    assert "at least one group" in page.context["adminform"].form.errors["groups"][0]


def test_a_retired_model_is_refused_and_a_deprecated_one_is_warned_of(
    as_: SignIn, editor: User, prompt: Prompt, submission: Submission
) -> None:
    ClaudeModel.objects.filter(pk=prompt.model_id).update(lifecycle="retired")
    assert "no longer answers" in save(as_(editor), prompt, submission(prompt))
    ClaudeModel.objects.filter(pk=prompt.model_id).update(lifecycle="deprecated")
    assert "is being phased out" in save(as_(editor), prompt, submission(prompt))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"variables-1-choices": " \n"}, "something to choose from"),
        ({"variables-1-default": "medium"}, "choose one of the options"),
        ({"variables-0-minimum": "9", "variables-0-maximum": "3"}, "no value could be right"),
        ({"variables-0-kind": "number", "variables-0-default": "many"}, "Please enter a number"),
        ({"variables-0-kind": "date", "variables-0-default": "21.11.2026"}, "Please enter a date"),
        ({"variables-0-name": "length"}, "duplicate"),
        ({"variables-0-name": "Big Name"}, "small letters"),
    ],
)
def test_a_variable_that_nobody_could_fill_in_is_refused(
    changes: dict[str, Any], words: str, as_: SignIn, editor: User, prompt: Prompt, submission: Submission
) -> None:
    before = list(Variable.objects.values())
    assert words in save(as_(editor), prompt, submission(prompt, **changes))
    assert list(Variable.objects.values()) == before


def test_a_new_prompt_is_made_with_its_variables_at_once(as_: SignIn, editor: User, catalogue: None) -> None:
    data = {
        "name": "Greet",
        "slug": "greet",
        "template": "Greet {{person}}",
        "model": "claude-haiku-5-5",
        "max_tokens": 100,
        "output_schema": "",
        "access": "signed_in",
        "variables-TOTAL_FORMS": 1,
        "variables-INITIAL_FORMS": 0,
        "variables-0-name": "person",
        "variables-0-label": "Person",
        "variables-0-kind": "text",
        "variables-0-position": 0,
    }
    page = as_(editor).post(reverse("admin:core_prompt_add"), data)
    made = Prompt.objects.get(slug="greet")
    assert page["Location"] == reverse("admin:core_prompt_change", args=[made.pk])
    assert made.output_schema is None
    assert made.published is None


def test_who_may_only_look_cannot_save(as_: SignIn, operator: User, prompt: Prompt, submission: Submission) -> None:
    answer = as_(operator).post(
        reverse("admin:core_prompt_change", args=[prompt.pk]), submission(prompt, template="{{document}}")
    )
    assert answer.status_code == 403


def test_the_trial_mode_is_said_on_the_page(as_: SignIn, editor: User, prompt: Prompt) -> None:
    page = as_(editor).get(reverse("admin:core_prompt_change", args=[prompt.pk])).content.decode()
    assert "Trial mode: a simulator stands in for Claude. Answers are made up and nothing is billed." in page
