"""Does every process follow what was published at once, and how often does a request have to look?"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from core.execution.run import run_call
from core.intake.accept import accept
from core.intake.keys import make_key
from core.models import Call, Classifier, ClassifierLabel, Key, ModelAlias, Prompt, Route, User
from core.routing.book import book
from core.routing.choose import plan
from core.simulator.server import Simulator
from tests import environment

HAIKU, SONNET, OPUS = "claude-haiku-5-5", "claude-sonnet-5-5", "claude-opus-5-5"


class Follower:
    """Another process on the same database; what it answers comes from what it remembers, and its Redis is gone."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def follows(self, name: str) -> tuple[list[str], int]:
        """The models that a name leads to, and the statements that it took."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{name}\n")
        self._process.stdin.flush()
        models, statements = json.loads(self._process.stdout.readline())
        return models, statements


@contextlib.contextmanager
def follower() -> Iterator[Follower]:
    name, cluster = str(connection.settings_dict["NAME"]), environment.cluster
    url = f"postgres://{cluster.user}@/{cluster.folder}/{name}" if cluster else f"sqlite:///{name}"
    nowhere = f"redis://127.0.0.1:{environment.free_port()}/0"
    with subprocess.Popen(
        [sys.executable, "-m", "tests.routing.follower"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=settings.BASE_DIR,
        env={**os.environ, "DATABASE_URL": url, "REDIS_URL": nowhere},
    ) as process:
        yield Follower(process)
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.django_db(transaction=True)
def test_what_is_published_here_is_followed_in_another_process_with_the_next_request(ready_made: None) -> None:
    route = Route.objects.create(name="Mail", slug="mail", model="standard")
    with follower() as other:
        assert other.follows("mail")[0] == []
        route.publish(None)
        assert other.follows("mail")[0] == [SONNET]
        # It remembers: one statement tells it that nothing was changed.
        assert other.follows("mail") == ([SONNET], 1)
        rule = route.rules.create(model="fast", conditions=[{"kind": "lane", "lanes": ["sync"]}])
        assert other.follows("mail") == ([SONNET], 1), "a draft counts for nobody"
        route.publish(None)
        assert other.follows("mail")[0] == [HAIKU, SONNET]
        ModelAlias.objects.get(name="fast").delete()
        assert other.follows("mail")[0] == [SONNET], f"{rule} leads nowhere now"
        before = route.before()
        assert before is not None
        ModelAlias.objects.filter(name="standard").update(model=OPUS)
        route.publish(None, before)
        assert other.follows("mail")[0] == [OPUS]
        route.withdraw(None)
        assert other.follows("mail")[0] == []


def _delete_the_alias() -> None:
    ModelAlias.objects.filter(name="best").delete()


def _turn_the_alias() -> None:
    ModelAlias.objects.filter(name="best").update(model=SONNET)


def _delete_the_classifier() -> None:
    Classifier.objects.filter(slug="intent").delete()


def _delete_a_label() -> None:
    ClassifierLabel.objects.filter(name="bulk").delete()


def _change_the_classifier() -> None:
    Classifier.objects.filter(slug="intent").update(seconds=9)


def _delete_the_route() -> None:
    Route.objects.filter(slug="intent").delete()


@pytest.mark.parametrize(
    "change",
    [
        _delete_the_alias, _turn_the_alias, _delete_the_classifier, _delete_a_label, _change_the_classifier,
        _delete_the_route,
    ],
)  # fmt: skip
def test_changes_of_many_rows_at_once_are_noticed_too(ready_made: None, change: Any) -> None:
    """As «delete the selected ones» in a list of the admin does it."""
    before = book()
    assert book() is before
    change()
    assert book() is not before


BODIES: dict[str, dict[str, Any]] = {
    "/v1/messages": {"max_tokens": 200, "messages": [{"role": "user", "content": "What is it?"}]},
    "/api/chat": {"prompt": "What is it?"},
    "/api/calls": {"text": "What is it?"},
}


# The key's own route counts where a program names none, or «auto»: the longest way to a name.
@pytest.mark.parametrize("own_route", [False, True])
@pytest.mark.parametrize(
    ("door", "named"),
    [(door, named) for door in BODIES for named in ("", "auto", "best") if named or door != "/v1/messages"],
)
def test_a_program_looks_once_at_most_for_what_is_published(
    ready_made: None, simulator: Simulator, member: User, door: str, named: str, own_route: bool
) -> None:
    key, secret = make_key("Script", member, by=None)
    Key.objects.filter(pk=key.pk).update(route=Route.objects.get(slug="intent") if own_route else None)
    plan("auto")
    body = {**BODIES[door], **({"model": named} if named else {})}
    with CaptureQueriesContext(connection) as asked:
        answer = Client().post(door, json.dumps(body), content_type="application/json", headers={"x-api-key": secret})
    assert answer.status_code in {200, 202}
    assert _looks(asked) == 1
    call = Call.objects.get()
    expected = named or "standard"
    assert call.routing is not None
    assert call.routing["asked"] == ("intent" if own_route and named != "best" else expected)
    # What it kept is enough for whoever runs it.
    with CaptureQueriesContext(connection) as later:
        run_call(call.pk)
    assert _looks(later) == 0


def test_a_form_looks_once_at_most(ready_made: None, simulator: Simulator, member: User, prompt: Prompt) -> None:
    prompt.route = Route.objects.get(slug="auto")
    prompt.save()
    version = prompt.publish(None)
    plan("auto")
    with CaptureQueriesContext(connection) as asked:
        run_call(accept(version, {"document": "What is it?", "length": "short"}, user=member).pk)
    assert _looks(asked) == 1


def _looks(asked: CaptureQueriesContext) -> int:
    return sum("core_routingstate" in each["sql"] for each in asked)
