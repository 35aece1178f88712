"""Does the demo go in one step, and nothing else with it?"""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable
from typing import Any

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth import authenticate, get_user
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core.demo.people import PASSWORD, PEOPLE
from core.demo.remove import remove_demo
from core.intake.keys import make_key, opened_by, rotate
from core.models import (
    Call,
    ClaudeModel,
    CostRecord,
    FallbackChain,
    Key,
    KeySecret,
    Price,
    Prompt,
    PromptVersion,
    SystemPrompt,
    SystemPromptVersion,
    User,
    Variable,
)

MARKED: list[Any] = [User, SystemPrompt, Prompt, Call, CostRecord, Key, FallbackChain]


def nobody_signs_in() -> bool:
    return not any(authenticate(username=person.username, password=PASSWORD) for person in PEOPLE)


def real_call(slug: str, user: User | None) -> Call:
    """A finished call that somebody made after the demo was loaded, with its cost."""
    prompt = Prompt.objects.get(slug=slug)
    call = Call.objects.create(user=user, prompt=prompt, version=prompt.published, status=Call.Status.SUCCEEDED)
    CostRecord.objects.create(call=call, user=user, prompt=prompt, model="a", amount=1, request_id=f"req_{call.pk}")
    return call


def test_without_demo_data_nothing_happens(prompt: Prompt, member: User) -> None:
    removed = remove_demo()
    assert set(removed.values()) == {0}
    assert removed.kept == []
    assert Prompt.objects.get() == prompt
    assert User.objects.get().is_active


def test_all_of_it_goes(demo: dict[str, int]) -> None:
    removed = remove_demo()
    assert removed == demo
    assert removed.kept == []
    for model in [*MARKED, KeySecret, PromptVersion, SystemPromptVersion, Variable]:
        assert not model.objects.exists(), model
    assert ClaudeModel.objects.exists()
    assert Price.objects.exists()


def test_what_is_real_stays_as_it_is(demo: dict[str, int], person: Callable[..., User]) -> None:
    somebody = person("somebody", "Member")
    system = SystemPrompt.objects.create(name="Ours", text="Be brief.")
    model = ClaudeModel.objects.first()
    assert model is not None
    ours = Prompt.objects.create(name="Ours", slug="ours", template="Hello", system_prompt=system, model=model)
    ours.publish(somebody)
    call = real_call("ours", somebody)
    removed = remove_demo()
    assert removed == demo
    assert removed.kept == []
    assert [list(kind.objects.values_list("demo", flat=True)) for kind in MARKED] == [[False]] * 5 + [[]] * 2
    assert Call.objects.get() == call
    assert Prompt.objects.get().published == ours.published
    assert authenticate(username="somebody", password="secret") == somebody


def test_a_real_call_keeps_its_prompt_which_is_withdrawn(demo: dict[str, int], person: Callable[..., User]) -> None:
    somebody = person("somebody", "Member")
    call = real_call("explain-code", somebody)
    removed = remove_demo()
    kept = Prompt.objects.get()
    assert (kept.slug, kept.published, kept.demo) == ("explain-code", None, False)
    assert call.version in kept.versions.all()
    assert CostRecord.objects.get().call == call
    assert SystemPrompt.objects.get().name == "Patient engineer"
    assert removed["prompts"] == 5
    assert ("The prompt «Explain code» was kept because of 1 call and 1 cost record; it was withdrawn.") in removed.kept


def test_a_call_of_a_demo_person_keeps_the_person_who_can_no_longer_sign_in(demo: dict[str, int]) -> None:
    member = User.objects.get(username="amara")
    browser = Client()
    browser.force_login(member)
    call = real_call("translate", member)
    removed = remove_demo()
    call.refresh_from_db()
    assert call.user == member
    assert (
        "The person «Amara Diallo» was kept because of 1 call and 1 cost record; nobody can sign in as them any more."
        in removed.kept
    )
    member.refresh_from_db()
    assert not member.is_active
    assert not member.has_usable_password()
    assert nobody_signs_in()
    request = HttpRequest()
    request.session = browser.session
    assert get_user(request).is_anonymous


def test_a_demo_key_that_a_program_really_used_is_revoked(demo: dict[str, int]) -> None:
    key = Key.objects.get(name="Nightly invoices")
    text = rotate(key, dt.timedelta(), by=None)
    call = Call.objects.create(key=key, user=key.user)
    removed = remove_demo()
    call.refresh_from_db()
    assert call.key == Key.objects.get()
    assert "The key «Nightly invoices» was kept because of 1 call; it was revoked." in removed.kept
    assert opened_by(text) is None


def test_a_real_key_keeps_the_demo_chain_it_uses(demo: dict[str, int], person: Callable[..., User]) -> None:
    chain = FallbackChain.objects.get(name="Replies to customers")
    key, _ = make_key("Ours", person("somebody"), by=None, fallback=chain)
    remove_demo()
    assert FallbackChain.objects.get() == chain
    assert Key.objects.get() == key


def test_a_real_rerun_of_a_demo_call_survives_it(demo: dict[str, int], person: Callable[..., User]) -> None:
    somebody = person("somebody", "Member")
    call = real_call("translate", somebody)
    Call.objects.filter(pk=call.pk).update(again_of=Call.objects.filter(demo=True).first())
    remove_demo()
    call.refresh_from_db()
    assert call.again_of is None


def test_what_somebody_real_published_of_a_demo_prompt_stays_in_use(
    demo: dict[str, int], person: Callable[..., User]
) -> None:
    publisher = person("somebody", "Prompt publisher", staff=True)
    prompt = Prompt.objects.get(slug="translate")
    prompt.template += "\n\nUse our glossary."
    prompt.save()
    version = prompt.publish(publisher)
    removed = remove_demo()
    kept = Prompt.objects.get()
    assert kept.published == version
    assert "people can use it as before" in removed.kept[0]


def test_a_real_prompt_keeps_the_demo_system_prompt_it_uses(demo: dict[str, int]) -> None:
    system = SystemPrompt.objects.get(name="House style")
    model = ClaudeModel.objects.first()
    assert model is not None
    Prompt.objects.create(name="Ours", slug="ours", template="Hello", system_prompt=system, model=model)
    remove_demo()
    assert SystemPrompt.objects.get() == system
    assert Prompt.objects.get().slug == "ours"


def test_the_trail_of_what_a_demo_person_changed_is_kept(demo: dict[str, int]) -> None:
    editor = User.objects.get(username="editor")
    kind = ContentType.objects.get_for_model(Prompt)
    LogEntry.objects.create(user=editor, content_type=kind, object_id="1", object_repr="Ours", action_flag=CHANGE)
    remove_demo()
    assert LogEntry.objects.get().user == User.objects.get()
    assert nobody_signs_in()


def test_a_second_removal_finds_nothing_more_to_do(demo: dict[str, int]) -> None:
    real_call("translate", User.objects.get(username="mei"))
    remove_demo()
    removed = remove_demo()
    assert set(removed.values()) == {0}
    assert removed.kept == []


def test_removing_takes_a_few_statements_for_each_table_and_none_for_each_row(demo: dict[str, int]) -> None:
    with CaptureQueriesContext(connection) as queries:
        remove_demo()
    tables = list(apps.get_app_config("core").get_models(include_auto_created=True))
    assert len(queries) < 4 * len(tables)


@pytest.mark.parametrize("answer", ["no\n", "\n", ""])
def test_the_command_removes_nothing_without_a_yes(
    answer: str, demo: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    with pytest.raises(CommandError, match="Nothing was removed"):
        call_command("remove_demo")
    assert Call.objects.count() == demo["calls"]


def test_the_command_tells_what_went_and_who_is_left(
    demo: dict[str, int], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    call_command("remove_demo")
    told = capsys.readouterr().out
    assert "6 prompts" in told
    assert "createsuperuser" in told
    call_command("remove_demo", "--yes")
    assert "no demo data to remove" in capsys.readouterr().out
    assert nobody_signs_in()
