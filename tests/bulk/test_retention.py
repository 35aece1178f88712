"""Do the contents of old tables go with those of their calls, and does what they cost stay?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest
from django.test import Client
from django.utils import timezone

from core.models import Batch, BatchRow, BulkRun, Call, SkippedLine
from core.operations.retention import prune
from tests.bulk.conftest import ended, started
from tests.bulk.test_story import csv_of, text_of

pytestmark = pytest.mark.django_db

TABLE = "Document;Length\nOne secret.;short\n[[simulate: batch=errored]] Two secrets.;short\nThree secrets.;huge\n"


def test_old_tables_are_emptied_and_their_figures_stay(page: Client, upload: Callable[..., BulkRun]) -> None:
    run = ended(started(page, upload(TABLE), skip="on"))
    assert run.batch is not None
    old = timezone.now() - dt.timedelta(days=100)
    for model in (Call, Batch, BulkRun):
        model.objects.update(created_at=old)

    assert prune(90) == 2

    run.refresh_from_db()
    kept = [run.samples, run.faults, *BatchRow.objects.values_list("cells", flat=True)]
    assert "secret" not in str([*kept, *SkippedLine.objects.values_list("cells", "fault")])
    assert "secret" not in text_of(page, run)
    assert [line[3] for line in csv_of(page, run)[1:]] == ["Done", "Failed", "Skipped"]
    assert run.batch.spent > 0
    fresh = BulkRun.objects.get(pk=page.post(f"{run.get_absolute_url()}again/")["Location"].split("/")[2])
    assert "Its contents were removed for their age." in text_of(page, fresh)
    assert fresh.usable == 0
