"""What can a person do with a table before it is started, and after it has ended?"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.utils import timezone

from core.batches.start import OvertakenError
from core.bulk.checking import LEASE, check
from core.bulk.sources import WITHOUT_ANSWER
from core.bulk.starting import begin
from core.bulk.uploads import keep
from core.intake.again import close_letters
from core.jobs.batches import nudge
from core.models import Batch, BatchRow, BulkRun, Call, Handling, Prompt, PromptVersion, User

log = logging.getLogger(__name__)

# Bytes of a file, and rows, that are worked on while the person waits for the page; more is a worker's.
SMALL_FILE, SMALL_RUN = 100_000, 200
BROKEN = "Something went wrong here, and was logged. Nothing was sent. Please try again, or tell an administrator."
_STEPS: Mapping[str, Callable[[BulkRun], None]] = {BulkRun.State.CHECKING: check, BulkRun.State.STARTING: begin}


def upload(user: User, prompt: Prompt, version: PromptVersion, file: Any, name: str) -> BulkRun:
    """Keep this file as a new run of this person, and have it read."""
    with transaction.atomic():
        run = BulkRun.objects.create(user=user, prompt=prompt, version=version, name=name[-200:], size=file.size)
        keep(run, file)
    return _worked_on(run, small=file.size <= SMALL_FILE)


def upload_again(run: BulkRun, file: Any, name: str) -> bool:
    """Put another file in the place of the run's; False where it is being started."""
    with transaction.atomic():
        fresh: dict[str, Any] = {"name": name[-200:], "size": file.size, "corrected": {}, "again_of": None}
        if not run.check_again(**fresh):
            return False
        keep(run, file)
    _worked_on(run, small=file.size <= SMALL_FILE)
    return True


def match_columns(run: BulkRun, places: Mapping[str, int]) -> bool:
    """Say by hand which column each variable is in; False where it is being started."""
    return _changed(run, places=dict(places))


def put_right(run: BulkRun, line: int, cells: list[str]) -> bool:
    """Use these cells for a line instead of the file's; False where it is being started."""
    return _changed(run, corrected={**run.corrected, str(line): cells})


def _changed(run: BulkRun, **values: Any) -> bool:
    if not run.check_again(**values):
        return False
    _worked_on(run, small=run.size <= SMALL_FILE)
    return True


def start_run(run: BulkRun, *, live: bool, skip_faulty: bool, address: str) -> bool:
    """A person has seen the price and wants it; False where it was started, or changed, meanwhile."""
    if not run.ask_to_start(live=live, skip_faulty=skip_faulty, address=address):
        return False
    if run.again_of is not None:
        # Those of its rows that were given up in the queue are dealt with by this.
        rows = Call.objects.filter(batch_row__batch=run.again_of)
        close_letters(rows, by=run.user, how=Handling.How.AGAIN, note="The rows without an answer were run again.")
    _worked_on(run, small=run.usable <= SMALL_RUN)
    return True


def unanswered(batch: Batch) -> int:
    """How many rows of a run that has ended have no answer."""
    if not batch.over or batch.succeeded == batch.rows:
        return 0
    return BatchRow.objects.filter(batch=batch, call__status__in=WITHOUT_ANSWER).count()


def again(run: BulkRun, user: User) -> BulkRun:
    """A new run of those rows of one that has ended which have no answer."""
    fresh = BulkRun.objects.create(
        user=user,
        prompt=run.prompt,
        version=run.version,
        again_of=run.batch,
        name=run.name,
        columns=run.columns,
        places=run.places,
    )
    return _worked_on(fresh, small=run.batch is not None and unanswered(run.batch) <= SMALL_RUN)


def discard(run: BulkRun) -> bool:
    """Remove a run that was never started, and its file; False where it was."""
    loose = BulkRun.objects.filter(pk=run.pk, batch=None).exclude(state=BulkRun.State.STARTING)
    return bool(loose.delete()[0])


def forget_old() -> int:
    """Remove what was uploaded and never started, once nobody has touched it for long; answers how many."""
    return sum(discard(run) for run in BulkRun.objects.forgotten(timezone.now()).only("pk")[:1000])


def _worked_on(run: BulkRun, *, small: bool) -> BulkRun:
    if small:
        look_after(run)
        run.refresh_from_db()
    else:
        nudge()
    return run


def look_after(run: BulkRun) -> bool:
    """Read a run, or start it, where nobody else has it in hand; whatever goes wrong with it harms no other."""
    mine = BulkRun.objects.claim(run.pk, LEASE)
    if mine is None:
        return False
    try:
        _STEPS[mine.state](mine)
    except OvertakenError:
        log.warning("run %s was taken over by another process", mine.pk)
    except (OperationalError, InterfaceError):
        # The database is away: whoever finds the run when its lease is over begins anew.
        raise
    except Exception:
        log.exception("bulk run %s", mine.pk)
        if not mine.mark_not_started(problem=BROKEN):
            mine.mark_checked(BulkRun.State.REFUSED, problem=BROKEN)
    return True
