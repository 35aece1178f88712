"""What can a person do with a table before it is started, and after it has ended?"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from core.batches.live import MOST_ROWS
from core.batches.start import OvertakenError
from core.bulk.checking import LEASE, check
from core.bulk.newest import count_unanswered
from core.bulk.starting import begin
from core.bulk.uploads import keep
from core.jobs.batches import nudge
from core.models import Batch, BulkRun, CorrectedLine, Prompt, PromptVersion, UploadPiece, User
from core.models.away import AWAY
from core.models.bulk import BulkRunQuerySet, new_token

log = logging.getLogger(__name__)

# Bytes of a file, and rows, that are worked on while the person waits for the page; more is a worker's.
SMALL_FILE, SMALL_RUN = 100_000, 200
BROKEN = "Something went wrong here, and was logged. Nothing was sent. Please try again, or tell an administrator."
# Whoever works on a run may be killed at any moment; where it happens so often, it is the run that kills.
MOST_TRIES = 5
BROKEN_OFF = (
    f"The work on this table broke off {MOST_TRIES} times. Perhaps it is too much for the machine. Nothing was sent. "
    "Please look at the file, or tell an administrator."
)
_STEPS: Mapping[str, Callable[[BulkRun], None]] = {BulkRun.State.CHECKING: check, BulkRun.State.STARTING: begin}


def upload(user: User, prompt: Prompt, version: PromptVersion, file: Any, name: str) -> BulkRun:
    """Keep this file as a new run of this person, and have it read."""
    with transaction.atomic():
        run = BulkRun.objects.create(user=user, prompt=prompt, version=version, name=name[-200:], size=file.size)
        keep(run, file)
    return _worked_on(run, small=file.size <= SMALL_FILE)


def upload_again(run: BulkRun, file: Any, name: str) -> bool:
    """Put another file in the place of the run's; False where it is being started, or somebody else just did."""
    with transaction.atomic():
        fresh: dict[str, Any] = {"name": name[-200:], "size": file.size, "again_of": None, "turn": 0}
        if not run.check_again(file_token=new_token(), **fresh):
            return False
        run.corrected_lines.all().delete()
        keep(run, file)
    _worked_on(run, small=file.size <= SMALL_FILE)
    return True


def match_columns(run: BulkRun, places: Mapping[str, int]) -> bool:
    """Say by hand which column each variable is in; False where it is being started, or has another file."""
    if not run.check_again(places=dict(places)):
        return False
    _worked_on(run, small=run.size <= SMALL_FILE)
    return True


def put_right(run: BulkRun, line: int, cells: list[str]) -> bool:
    """Use these cells for a line instead of the file's; False where it is being started, or has another file.

    What others put right at the same time stays: each line is a row of its own.
    """
    with transaction.atomic():
        if not run.check_again():
            return False
        run.corrected_lines.update_or_create(line=line, defaults={"cells": cells})
    _worked_on(run, small=run.size <= SMALL_FILE)
    return True


def start_run(run: BulkRun, seen: str, *, live: bool, skip_faulty: bool, address: str) -> bool:
    """A person has seen this revision with its price and wants it; False where it is another one by now, or started."""
    most = MOST_ROWS if live else None
    if not run.ask_to_start(seen, live=live, skip_faulty=skip_faulty, address=address, most=most):
        return False
    _worked_on(run, small=run.usable <= SMALL_RUN)
    return True


def unanswered(batch: Batch) -> int:
    """How many rows of a run that has ended have no answer, nor are being run again."""
    if not batch.over or batch.succeeded == batch.rows:
        return 0
    return count_unanswered(batch)


def again(run: BulkRun) -> BulkRun | None:
    """A run of those rows of a table without an answer, or the one that is not over yet; None where all have one.

    Of two who ask at once, one makes it and both get it: no turn is there twice.
    """
    first = run.again_of or run.batch
    last = last_repeat(first) if first else None
    if last is not None and not last.over:
        return last
    if first is None or not (number := unanswered(first)):
        return None
    try:
        with transaction.atomic():
            fresh = _repeat(run, first, turn=last.turn + 1 if last else 1)
    except IntegrityError:
        return last_repeat(first)
    return _worked_on(fresh, small=number <= SMALL_RUN)


def last_repeat(first: Batch) -> BulkRun | None:
    """The newest run of those rows of this one that had no answer."""
    return BulkRun.objects.filter(again_of=first).select_related("batch").order_by("-turn").first()


def _repeat(run: BulkRun, first: Batch, turn: int) -> BulkRun:
    return BulkRun.objects.create(
        user=run.user,
        prompt=run.prompt,
        version=run.version,
        again_of=first,
        turn=turn,
        name=run.name,
        columns=run.columns,
        places=run.places,
    )


def discard(run: BulkRun) -> bool:
    """Remove a run that was never started, and its file; False where it was."""
    return _remove(BulkRun.objects.filter(pk=run.pk, batch=None, state__in=BulkRun.LOOSE))


def _remove(found: BulkRunQuerySet) -> bool:
    """Whoever starts it or works on it at the same moment waits, and then finds it gone, or has been first."""
    with transaction.atomic():
        return found.hold() and bool(found.delete()[0])


def forget_old() -> int:
    """Remove what was uploaded and never started, once nobody has touched it for long; answers how many."""
    forgotten = BulkRun.objects.forgotten(timezone.now())
    _let_go_of_started()
    return sum(_remove(forgotten.filter(pk=pk)) for pk in forgotten.values_list("pk", flat=True)[:1000])


def _let_go_of_started() -> None:
    """Files of runs whose process died after it had started them, and before it let go of the file."""
    for kept in (UploadPiece, CorrectedLine):
        kept.objects.filter(run__state=BulkRun.State.STARTED).delete()


def _worked_on(run: BulkRun, *, small: bool) -> BulkRun:
    if small:
        # A start that finds another price than the person saw leaves it to be read once more.
        for _ in range(2):
            if run.at_work and look_after(run):
                run.refresh_from_db()
    if run.at_work:
        nudge()
    return run


def look_after(run: BulkRun) -> bool:
    """Read a run, or start it, where nobody else has it in hand; whatever goes wrong with it harms no other."""
    mine = BulkRun.objects.claim(run.pk, LEASE)
    if mine is None:
        return False
    try:
        if mine.tries > MOST_TRIES:
            log.error("bulk run %s broke off %s times", mine.pk, mine.tries - 1)
            _give_up(mine, BROKEN_OFF)
            return True
        _STEPS[mine.state](mine)
    except OvertakenError:
        log.warning("run %s was taken over by another process", mine.pk)
    except AWAY:
        # The database is away: whoever finds the run when its lease is over begins anew.
        raise
    except Exception:
        log.exception("bulk run %s", mine.pk)
        _give_up(mine, BROKEN)
    return True


def _give_up(run: BulkRun, why: str) -> None:
    """Nothing was sent of it; the person may change something and try again."""
    if not run.mark_not_started(problem=why):
        run.mark_checked(BulkRun.State.REFUSED, problem=why)
