"""Which prompts does a key see?"""

from __future__ import annotations

import pytest

from core.models import ClaudeModel, Prompt
from tests.plain.conftest import Script

pytestmark = pytest.mark.django_db


def test_a_prompt_is_listed_with_what_it_asks_for(script: Script, prompt: Prompt) -> None:
    assert script.get("/api/prompts").json == {
        "data": [
            {
                "prompt": "summarise",
                "name": "Summarise a document",
                "description": "",
                "variables": [
                    {
                        "name": "document",
                        "label": "Document",
                        "kind": "long_text",
                        "help": "",
                        "required": True,
                        "default": "",
                        "choices": [],
                        "minimum": None,
                        "maximum": None,
                    },
                    {
                        "name": "length",
                        "label": "Length",
                        "kind": "choice",
                        "help": "",
                        "required": True,
                        "default": "short",
                        "choices": ["short", "long"],
                        "minimum": None,
                        "maximum": None,
                    },
                ],
            }
        ]
    }


def test_only_what_the_key_and_its_owner_may_use_is_listed(script: Script, prompt: Prompt) -> None:
    model = ClaudeModel.objects.get(pk="claude-haiku-5-5")
    common = {"template": "Hello", "model": model}
    open_to_all = Prompt.objects.create(name="Open", slug="open", access=Prompt.Access.EVERYONE, **common)
    for_others = Prompt.objects.create(name="For others", slug="others", access=Prompt.Access.GROUPS, **common)
    Prompt.objects.create(name="A draft", slug="draft", **common)
    for each in (open_to_all, for_others):
        each.publish(None)

    assert _listed(script) == ["open", "summarise"]
    script.key.prompts_allowed.add(prompt, for_others)
    assert _listed(script) == ["summarise"]


def _listed(script: Script) -> list[str]:
    return [each["prompt"] for each in script.get("/api/prompts").json["data"]]
