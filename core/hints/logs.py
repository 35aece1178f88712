"""Which call and which request is a line of the log about, and how is it written for programs to read?

Standard library only: it is read before anything else of the project is.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from types import TracebackType
from typing import Any

# What the lines of this thread or task are about; empty: nothing in particular.
call_id: ContextVar[str] = ContextVar("call_id", default="")
request_id: ContextVar[str] = ContextVar("request_id", default="")

# Characters of an exception's words that are written.
LONGEST = 300


@contextlib.contextmanager
def about(variable: ContextVar[str], value: str) -> Iterator[None]:
    """Lines written in this block name this call or request."""
    token = variable.set(value)
    try:
        yield
    finally:
        # A generator may be closed in another context than the one it began in.
        with contextlib.suppress(ValueError):
            variable.reset(token)


class Naming(logging.Filter):
    """Gives each line the call and request that it is about."""

    def filter(self, record: logging.LogRecord) -> bool:
        names = {"call": call_id.get(), "request": request_id.get()}
        record.__dict__.update(
            call=names["call"],
            request_id=names["request"],
            names="".join(f" {name}={value}" for name, value in names.items() if value),
        )
        return True


class Unquoting(logging.Filter):
    """gunicorn quotes what it cannot read of a request: a key in an odd header, or a body longer than was announced."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        if said.startswith("Invalid request from "):
            # From where, and what was wrong.
            record.msg, record.args = ": ".join(said.split(": ")[:2]), None
        return True


class _Discreet(logging.Formatter):
    """Tracebacks without what databases add to an error: the row that they refuse holds what people wrote."""

    def formatException(  # noqa: N802 - the name in the standard library
        self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
    ) -> str:
        error = ei[1]
        return "".join(_told(error)) if error is not None else ""


class Lines(_Discreet):
    """A line for people."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname} {name}{names} {message}", style="{")


class Json(_Discreet):
    """An object a line, for programs that collect logs."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "call": getattr(record, "call", ""),
            "request": getattr(record, "request_id", ""),
            "process": record.process,
            "thread": record.threadName,
            "error": self.formatException(record.exc_info) if record.exc_info else "",
        }
        return json.dumps({name: value for name, value in line.items() if value}, ensure_ascii=False)


def _told(error: BaseException | None, depth: int = 0) -> Iterator[str]:
    """The chain of exceptions, the first cause first: where each was raised, and its first line of words."""
    if error is None or depth > 10:
        return
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _told(before, depth + 1)
        yield "\nwhich led to\n\n"
    yield "".join(traceback.format_tb(error.__traceback__))
    yield f"{type(error).__module__}.{type(error).__qualname__}: {first_words(str(error))}\n"


def first_words(said: str) -> str:
    """What of an error may be told to everybody: its first line; those after it are what the database adds."""
    return said.split("\n", 1)[0][:LONGEST]


def discreet(event: dict[str, Any], _: dict[str, Any]) -> dict[str, Any]:
    """What Sentry is sent, which reads exceptions itself: with no more of their words than our log has."""
    for error in _values(event, "exception"):
        error["value"] = first_words(error.get("value") or "")
    for crumb in _values(event, "breadcrumbs"):
        crumb["message"] = first_words(crumb.get("message") or "")
    if entry := event.get("logentry"):
        # Without the parameters: an exception among them is written with all its words.
        event["logentry"] = {"message": entry["message"], "formatted": first_words(entry.get("formatted") or "")}
    return event


def _values(event: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return (event.get(name) or {}).get("values") or []
