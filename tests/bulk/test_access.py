"""Does nobody see or touch a table but its owner, and whoever may read everybody's calls?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from core.models import BulkRun, Prompt, User
from tests.bulk.conftest import LETTERS, ended, started
from tests.bulk.test_story import text_of

pytestmark = pytest.mark.django_db

ACTIONS = ("start", "cancel", "again", "discard", "columns", "file", "rows/2")
# What asks first.
ASKED = ("cancel", "discard")


@pytest.mark.parametrize("path", ["", "results.csv", "results.xlsx"])
def test_an_outsider_finds_nothing(page: Client, upload: Callable[..., BulkRun], outsider: User, path: str) -> None:
    run = started(page, upload())
    page.force_login(outsider)
    assert page.get(f"{run.get_absolute_url()}{path}").status_code == 404
    assert "letters.csv" not in page.get("/bulk/").content.decode()


@pytest.mark.parametrize("action", ACTIONS)
def test_an_outsider_can_do_nothing(page: Client, upload: Callable[..., BulkRun], outsider: User, action: str) -> None:
    run = upload()
    page.force_login(outsider)
    assert page.post(f"{run.get_absolute_url()}{action}/", {"lane": "batch"}).status_code == 404
    assert page.get(f"{run.get_absolute_url()}{action}/").status_code == (404 if action in ASKED else 405)
    assert BulkRun.objects.get().state == "checked"


@pytest.mark.parametrize("action", [action for action in ACTIONS if action != "cancel"])
def test_who_may_read_everybodys_calls_sees_a_run_and_cannot_change_it(
    page: Client, upload: Callable[..., BulkRun], operator: User, action: str
) -> None:
    run = upload()
    page.force_login(operator)
    assert "letters.csv" in page.get("/bulk/").content.decode()
    assert "Only member can start it" in page.get(run.get_absolute_url()).content.decode()
    assert page.post(f"{run.get_absolute_url()}{action}/", {"lane": "batch"}).status_code == 403


@pytest.mark.parametrize("action", ASKED)
def test_what_cannot_be_taken_back_is_asked_first_also_without_javascript(
    page: Client, upload: Callable[..., BulkRun], operator: User, finance: User, action: str
) -> None:
    run = started(page, upload()) if action == "cancel" else upload()
    path = f"{run.get_absolute_url()}{action}/"
    assert f'href="{path}"' in text_of(page, run)
    html = page.get(path).content.decode()
    assert "«letters.csv»?</h1>" in html
    assert '<form class="actions" method="post"' in html
    assert page.head(path).status_code == 200
    run.refresh_from_db()
    assert run.state == ("started" if action == "cancel" else "checked")
    assert run.batch is None or run.batch.status == "submitting"
    page.force_login(finance if action == "cancel" else operator)
    assert page.get(path).status_code == page.post(path).status_code == 403


def test_what_has_ended_is_not_asked_about(page: Client, upload: Callable[..., BulkRun]) -> None:
    run = ended(started(page, upload()))
    for action in ASKED:
        path = f"{run.get_absolute_url()}{action}/"
        assert path not in text_of(page, run)
        assert page.get(path)["Location"] == run.get_absolute_url()


def test_who_may_cancel_anybodys_calls_cancels_a_run(
    page: Client, upload: Callable[..., BulkRun], operator: User, finance: User
) -> None:
    run = started(page, upload())
    page.force_login(finance)
    assert page.post(f"{run.get_absolute_url()}cancel/").status_code == 403
    page.force_login(operator)
    page.post(f"{run.get_absolute_url()}cancel/")
    run.refresh_from_db()
    assert run.batch is not None
    assert run.batch.status == "canceling"


def test_a_visitor_signs_in_first(client: Client) -> None:
    for path in ("/bulk/", "/bulk/new/"):
        assert client.get(path)["Location"] == f"/login/?next={path}"


def test_a_table_goes_only_to_prompts_that_are_open_to_the_person(
    page: Client, prompt: Prompt, upload: Callable[..., BulkRun]
) -> None:
    run = upload()
    Prompt.objects.update(access=Prompt.Access.GROUPS)
    prompt.groups.set(Group.objects.filter(name="Finance"))
    file: Any = SimpleUploadedFile("a.csv", LETTERS.encode())
    html = page.post("/bulk/new/", {"prompt": prompt.slug, "file": file}).content.decode()
    assert "This prompt is not there any more" in html
    assert page.post(f"{run.get_absolute_url()}start/", {"lane": "batch", "seen": run.revision}).status_code == 403
    assert BulkRun.objects.get().state == "checked"
