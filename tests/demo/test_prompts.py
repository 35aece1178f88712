"""Are the demo's prompts worth using: do they render, does the API take them, and do their answers fit?"""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.admin.prompt_checks import refusals, warnings
from core.claude import client
from core.claude.requests import Sending
from core.demo.drafts import SYSTEM_PROMPTS, Draft
from core.demo.examples import EXAMPLES
from core.demo.prompts import DRAFTS
from core.models import Call, ClaudeModel, Prompt, SystemPrompt, User, Variable
from core.prompts.rendering import problems, render
from core.prompts.templates import names_in

KINDS: dict[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "string": str,
    "null": type(None),
}


def misfits(schema: dict[str, Any], value: Any, path: str = "answer") -> list[str]:
    """Where `value` is not what `schema` asks for; knows the keywords that the demo uses."""
    if "anyOf" in schema:
        found = [misfits(option, value, path) for option in schema["anyOf"]]
        return [] if [] in found else found[0]
    if schema["type"] == "array":
        return [p for i, item in enumerate(value) for p in misfits(schema["items"], item, f"{path}.{i}")]
    if schema["type"] == "object":
        inner = schema["properties"]
        odd = sorted(set(inner) ^ set(value))
        return [f"{path}: {odd}"] if odd else [p for k in inner for p in misfits(inner[k], value[k], f"{path}.{k}")]
    fits = isinstance(value, KINDS[schema["type"]]) and value in schema.get("enum", [value])
    return [] if fits else [f"{path}: {value!r}"]


@pytest.mark.parametrize("draft", DRAFTS, ids=lambda draft: draft.slug)
@pytest.mark.parametrize("which", ["template", "first_template"])
def test_every_variable_is_named_and_defined(draft: Draft, which: str) -> None:
    template = getattr(draft, which)
    if not template:
        return
    system = SYSTEM_PROMPTS[draft.system][1] if draft.system else ""
    variables = [{"name": blank.name} for blank in draft.blanks]
    assert problems({"system_text": system, "template": template, "variables": variables}) == ([], [])


def test_six_prompts_are_published_with_every_kind_of_variable(demo: dict[str, int]) -> None:
    assert Prompt.objects.published().count() == 6
    assert set(Variable.objects.values_list("kind", flat=True)) == set(Variable.Kind.values)
    assert not [prompt.slug for prompt in Prompt.objects.all() if prompt.changed_since_published]


def test_what_the_admin_demands_of_a_prompt_holds_for_the_demo(demo: dict[str, int]) -> None:
    for row in [*Prompt.objects.all(), *Variable.objects.all(), *SystemPrompt.objects.all(), *User.objects.all()]:
        row.full_clean()


def test_the_editor_takes_each_as_it_is_and_warns_of_nothing(demo: dict[str, int]) -> None:
    for prompt in Prompt.objects.select_related("model", "system_prompt"):
        assert refusals(prompt.content(), prompt.model) == []
        assert warnings(prompt.content(), prompt.model) == []


def test_a_snapshot_of_each_draft_is_its_published_version(demo: dict[str, int]) -> None:
    for prompt in Prompt.objects.all():
        assert prompt.snapshot(None) == prompt.published


def test_models_are_the_newest_active_ones_of_their_line(demo: dict[str, int]) -> None:
    ClaudeModel.objects.filter(line="haiku").exclude(prompts=None).get()
    for prompt in Prompt.objects.select_related("model"):
        newer = ClaudeModel.objects.filter(
            line=prompt.model.line, lifecycle="active", released_at__gt=prompt.model.released_at
        )
        assert not newer.exists()


def test_the_api_takes_what_was_sent_and_answers_as_asked(demo: dict[str, int]) -> None:
    for prompt in Prompt.objects.select_related("published"):
        version = prompt.published
        assert version is not None
        call = version.calls.filter(status="succeeded").latest("created_at")
        assert call.request == render(version.content(), call.inputs)
        assert names_in(json.dumps(call.request)) == []
        answering = client.send(Sending(call.request), 10)
        text = "".join(event.text for event in answering)
        assert answering.reply.stop_reason == "end_turn"
        if version.output_schema:
            assert misfits(version.output_schema, json.loads(text)) == []


def test_answers_that_are_data_follow_their_schema(demo: dict[str, int]) -> None:
    answered = Call.objects.filter(status="succeeded", stop_reason="end_turn", version__output_schema__isnull=False)
    assert answered.count() > 20
    for call in answered.select_related("version"):
        schema = call.version.output_schema if call.version else None
        assert schema is not None
        assert misfits(schema, json.loads(call.text)) == []


def test_an_invoice_of_the_past_adds_up(demo: dict[str, int]) -> None:
    for text in Call.objects.filter(prompt__slug="extract-an-invoice").values_list("text", flat=True):
        fields = json.loads(text)
        if fields["is_invoice"]:
            assert fields["net_amount"] + fields["tax_amount"] == pytest.approx(fields["total_amount"], abs=0.001)


def test_examples_name_only_variables_that_there_are() -> None:
    for draft in DRAFTS:
        names = {blank.name for blank in draft.blanks}
        assert all(set(example.inputs) <= names for example in EXAMPLES[draft.slug])


def test_no_blank_of_an_example_is_left_open(demo: dict[str, int]) -> None:
    for call in Call.objects.all():
        assert names_in(call.text, *call.inputs.values()) == []


def test_who_may_use_what(demo: dict[str, int]) -> None:
    usable = {
        name: set(Prompt.objects.usable_by(User.objects.get(username=name)).values_list("slug", flat=True))
        for name in ("member", "finance")
    }
    assert usable["finance"] - usable["member"] == {"extract-an-invoice"}
    assert Prompt.objects.get(access=Prompt.Access.EVERYONE).slug == "translate"
