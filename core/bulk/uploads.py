"""Where is an uploaded table kept, so that every process on every machine can read it, and for how long?"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from django.db import transaction

from core.bulk.raw import Beat
from core.models import BulkRun, UploadPiece

# Bytes of one row in the database.
PIECE = 1_000_000


def keep(run: BulkRun, file: Any) -> None:
    """Keep this file, which is read piece by piece, instead of what was kept for `run`.

    Belongs into the transaction that makes or changes the run.
    """
    run.pieces.all().delete()
    number = 0
    while data := file.read(PIECE):
        UploadPiece.objects.create(run=run, number=number, data=data)
        number += 1


def let_go(run: BulkRun) -> None:
    """Its rows are written down, so nobody needs the file any more, nor what was put right in it."""
    with transaction.atomic():
        UploadPiece.objects.filter(run=run).delete()
        run.corrected_lines.all().delete()


@contextmanager
def opened(run: BulkRun, beat: Beat) -> Iterator[IO[bytes]]:
    """The file as it was uploaded, on this machine's disk for as long as it is read."""
    with tempfile.TemporaryFile() as file:
        number = 0
        while (data := _piece(run, number)) is not None:
            beat()
            file.write(data)
            number += 1
        file.seek(0)
        yield file


def _piece(run: BulkRun, number: int) -> bytes | None:
    found = UploadPiece.objects.filter(run=run, number=number).values_list("data", flat=True).first()
    return None if found is None else bytes(found)
