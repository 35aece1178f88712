"""What the tests of tables share: a simulator with an empty bill, a budget, and a person with a browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from core.bulk import clock
from core.models import BulkRun, Prompt, User
from core.simulator.server import Simulator
from tests.batches.conftest import due_now

LETTERS = "Document;Length;Note\nThe invoice of May is due.;short;=1+1\nPlease call me back.;long;-\n"


@pytest.fixture
def page(client: Client, member: User, prompt: Prompt, claude: Simulator) -> Client:
    client.force_login(member)
    return client


@pytest.fixture
def upload(page: Client, prompt: Prompt) -> Callable[..., BulkRun]:
    """Uploads a table as the member does, and answers the run that it became."""

    def make(content: str | bytes = LETTERS, name: str = "letters.csv") -> BulkRun:
        data = content.encode() if isinstance(content, str) else content
        response = page.post("/bulk/new/", {"prompt": prompt.slug, "file": SimpleUploadedFile(name, data)})
        assert response.status_code == 302, response.content.decode()
        return BulkRun.objects.get(pk=response["Location"].split("/")[2])

    return make


def started(page: Client, run: BulkRun, lane: str = "batch", **more: str) -> BulkRun:
    page.post(f"{run.get_absolute_url()}start/", {"lane": lane, "seen": run.revision, **more})
    run.refresh_from_db()
    return run


def ended(run: BulkRun, rounds: int = 6) -> BulkRun:
    """What the workers do in a while."""
    for _ in range(rounds):
        due_now()
        clock.tend()
        run.refresh_from_db()
        if run.batch is not None and run.batch.over:
            break
    return run
