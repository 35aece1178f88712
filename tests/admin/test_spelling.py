"""Is what looks like a variable one, or refused, and is all other text in double braces left alone and named?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from core.models import Prompt, SystemPrompt, User
from core.prompts.templates import fill, left_as_text, misspelt, names_in

Submission = Callable[..., dict[str, Any]]
SignIn = Callable[[User], Client]


@pytest.mark.parametrize(
    ("template", "names", "wrong", "text"),
    [
        ("nothing", [], [], []),
        ("{{a}} {{ b_2 }} {{a}}", ["a", "b_2"], [], []),
        ("{{Undefined}}", [], ["Undefined"], []),
        ("{{ customer-name }}", [], ["customer-name"], []),
        ("{{Customer Name}} {{ Customer Name }}", [], ["Customer Name"], []),
        ("{{größe}}", [], ["größe"], []),
        ("{{2nd}}", [], ["2nd"], []),
        ("{{_name}}", [], ["_name"], []),
        ("{{name\n}}", [], ["name"], []),
        ("{{ x|safe }} {{text.__class__}}", [], [], ["x|safe", "text.__class__"]),
        ("{{ f() }} {{}} {{ - }}", [], [], ["f()", "", "-"]),
        ('{{"key": 1}}', [], [], ['"key": 1']),
        ("{{{a}}} {a} {A} {{A} }", ["a"], [], []),
        ("{% include 'a' %} {0.__class__}", [], [], []),
    ],
)
def test_each_pair_of_double_braces_is_a_name_a_misspelling_or_text(
    template: str, names: list[str], wrong: list[str], text: list[str]
) -> None:
    assert (names_in(template), misspelt(template), left_as_text(template)) == (names, wrong, text)
    filled = fill(template, dict.fromkeys(names, "!"))
    assert names_in(filled) == []
    assert all(part in filled for part in [*wrong, *text])


@pytest.mark.parametrize("spelling", ["{{Undefined}}", "{{ customer-name }}", "{{Customer Name}}"])
def test_what_looks_like_a_variable_and_is_none_is_refused_with_the_spelling_that_is_allowed(
    spelling: str, as_: SignIn, editor: User, prompt: Prompt, submission: Submission
) -> None:
    before = prompt.template
    data = submission(prompt, template=f"{{{{document}}}} {{{{length}}}} {spelling}")
    page = as_(editor).post(reverse("admin:core_prompt_change", args=[prompt.pk]), data)
    (said,) = page.context["adminform"].form.errors["template"]
    assert f"{{{{{spelling.strip('{} ')}}}}}" in said
    assert "small letters, digits and underscores" in said
    prompt.refresh_from_db()
    assert prompt.template == before


def test_a_system_prompt_is_refused_too(as_: SignIn, editor: User) -> None:
    data = {"name": "Tone", "description": "", "text": "Be {{The Mood}}."}
    page = as_(editor).post(reverse("admin:core_systemprompt_add"), data)
    assert "{{The Mood}}" in page.context["adminform"].form.errors["text"][0]
    assert not SystemPrompt.objects.exists()


def test_other_text_in_double_braces_is_saved_and_named_as_a_warning(
    as_: SignIn, editor: User, prompt: Prompt, submission: Submission
) -> None:
    data = submission(prompt, template="{{document}} {{length}} {{ x|safe }} {{text.__class__}}")
    answer = as_(editor).post(reverse("admin:core_prompt_change", args=[prompt.pk]), data, follow=True)
    prompt.refresh_from_db()
    assert prompt.template.endswith("{{text.__class__}}")
    assert "{{x|safe}}, {{text.__class__}} stays as text" in answer.content.decode()
