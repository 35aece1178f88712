"""How does a report leave as a file, piece by piece?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.utils.http import content_disposition_header

from core.pages.errors import wrong_dates
from core.reports import exports
from core.reports.files import csv_pieces
from core.reports.workbook import xlsx_pieces

if TYPE_CHECKING:
    from core.pages.spend import Wanted

_KINDS: dict[str, tuple[Callable[[Iterable[list[Any]]], Iterator[bytes]], str]] = {
    "csv": (csv_pieces, "text/csv; charset=utf-8"),
    "xlsx": (xlsx_pieces, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}


def download(request: HttpRequest, kind: str, wanted: Wanted, user_id: int | None = None) -> HttpResponseBase:
    """`what` in the address says which lines: `records`, `sums` of each value, or those `steps` by step.

    Wrong dates are refused: a page can say that it shows another period, and a file that somebody adds up cannot.
    """
    if wanted.form.errors:
        return wrong_dates(request, wanted.form)
    what = request.GET.get("what", "records")
    what = what if what in {"records", "sums", "steps"} else "records"
    name = f"spend-{wanted.period.first}-{wanted.period.last}{'' if what == 'records' else f'-by-{wanted.by}-{what}'}"
    return file_of(request, kind, name, _rows(what, wanted, user_id))


def file_of(request: HttpRequest, kind: str, name: str, rows: Iterable[list[Any]]) -> HttpResponseBase:
    """These lines, a heading first, as a file of this name that leaves while they are read."""
    pieces_of, content_type = _KINDS[kind]
    pieces = pieces_of(rows)
    # An event loop wants to be asked for each piece; a thread reads a plain iterator.
    body: Any = _from_thread(pieces) if isinstance(request, ASGIRequest) else pieces
    response = StreamingHttpResponse(body, content_type=content_type)
    disposition = content_disposition_header(True, f"{name}.{kind}")
    response["Content-Disposition"] = disposition or "attachment"
    return response


def _rows(what: str, wanted: Wanted, user_id: int | None) -> Iterator[list[Any]]:
    if what == "sums":
        return exports.breakdown_rows(wanted.period, wanted.by, user_id)
    if what == "steps":
        return exports.step_rows(wanted.period, wanted.by, user_id)
    return exports.record_rows(wanted.period, user_id)


async def _from_thread(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    while piece := await sync_to_async(_next)(pieces):
        yield piece


def _next(pieces: Iterator[bytes]) -> bytes:
    """The next piece, or an empty one at the end."""
    return next(pieces, b"")
