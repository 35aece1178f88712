"""Do prompts come back from files as they were, and does nothing come in that cannot be used?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command

from core.models import Prompt, SystemPrompt
from core.prompts.files import read, write


@pytest.fixture
def folder(tmp_path: Path, prompt: Prompt) -> Path:
    """The prompt of the tests, with a system prompt and a group, as files."""
    prompt.system_prompt = SystemPrompt.objects.create(name="Careful with facts", text="Be careful.")
    prompt.access = Prompt.Access.GROUPS
    prompt.save()
    prompt.groups.set([Group.objects.create(name="Office")])
    write(tmp_path)
    return tmp_path


def rewritten(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_was_written_comes_in_again_as_it_was(folder: Path, prompt: Prompt) -> None:
    before = prompt.content()
    Prompt.objects.all().delete()
    SystemPrompt.objects.all().delete()
    brought = read(folder)
    assert (brought.added, brought.changed) == (2, 0)
    after = Prompt.objects.get()
    assert after.content() == before
    assert (after.access, [group.name for group in after.groups.all()]) == ("groups", ["Office"])
    assert after.published is None


def test_a_published_prompt_keeps_what_people_use_and_gets_a_new_draft(folder: Path, prompt: Prompt) -> None:
    used = Prompt.objects.get().published
    rewritten(folder / "prompts" / "summarise.json", template="Say it shorter: {{document}} {{length}}")
    brought = read(folder)
    assert (brought.added, brought.changed) == (0, 2)
    after = Prompt.objects.get()
    assert after.template.startswith("Say it shorter")
    assert after.published == used
    assert after.changed_since_published


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": "claude-none"}, "there is no"),
        ({"groups": ["Nobody"]}, "there is no group «Nobody» here"),
        ({"access": "all"}, "access: Value 'all' is not a valid choice."),
        ({"publish": True}, "nobody knows what these mean: publish"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"variables": [{"name": "Not A Name", "label": "x"}]}, "name:"),
    ],
)
def test_what_cannot_be_used_is_named_and_nothing_comes_in(
    folder: Path, prompt: Prompt, changes: dict[str, Any], said: str
) -> None:
    (system,) = (folder / "system-prompts").iterdir()
    rewritten(system, text="Be bold.")
    rewritten(folder / "prompts" / "summarise.json", name="Changed", **changes)
    with pytest.raises(CommandError, match=r"summarise\.json") as refused:
        call_command("import_prompts", str(folder))
    assert said in str(refused.value)
    assert SystemPrompt.objects.get().text == "Be careful."
    assert Prompt.objects.get().name == "Summarise a document"
    assert Prompt.objects.get().variables.count() == 2


def test_the_commands_say_what_they_did(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("export_prompts", str(tmp_path / "new"))
    assert "2 files written" in capsys.readouterr().out
    call_command("import_prompts", str(tmp_path / "new"))
    assert "0 added, 2 brought up to date." in capsys.readouterr().out
    with pytest.raises(CommandError, match="There is no folder"):
        call_command("import_prompts", str(tmp_path / "nowhere"))


def test_a_file_that_is_no_json_is_named(folder: Path) -> None:
    (folder / "prompts" / "broken.json").write_text("{")
    with pytest.raises(CommandError, match=r"broken\.json"):
        call_command("import_prompts", str(folder))
