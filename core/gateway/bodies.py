"""What did a program send, and is it a request at all?"""

from __future__ import annotations

import hashlib
import io
import json
import math
from dataclasses import dataclass
from typing import Any, Protocol

from django.http import HttpRequest

from core.gateway.errors import Refusal
from core.intake.requests import DEEPEST, MOST_TOKENS

# Bytes; the API's own limit.
MOST_BYTES = 32 * 1024 * 1024
# What is read of a body that is too large before it is refused: who still writes does not read our answer.
MOST_SKIPPED = 2 * MOST_BYTES
STEP = 1024 * 1024
# Bytes; who has no key may fill so much memory for each thread, and no more.
SMALL = 1024 * 1024
# Where a body that was read ahead is.
READ = "claudeapp.body"


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Arrived:
    """A request as it came, and as values."""

    raw: bytes
    body: dict[str, Any]

    def digest(self) -> str:
        return hashlib.sha256(self.raw).hexdigest()


def arrived(request: HttpRequest) -> Arrived:
    """The JSON object that a program sent. Raises `Refusal` 400, 408 or 413."""
    raw = read_body(request)
    return Arrived(raw, parsed(raw))


def read_ahead(request: HttpRequest) -> bool:
    """Read a small body now, so that no database connection waits for a slow client; False where it is not small."""
    declared = request.META.get("CONTENT_LENGTH") or ""
    if request.method == "POST" and not (declared.isdecimal() and int(declared) <= SMALL):
        return False
    if request.method == "POST":
        request.META[READ] = read_body(request)
    return True


def read_body(request: HttpRequest, most: int = MOST_BYTES) -> bytes:
    """The bytes of the body. Raises `Refusal`: 413 where there are more than `most`, 408 where they do not come."""
    if READ in request.META:
        ahead: bytes = request.META[READ]
        return ahead
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if declared.isdecimal() and int(declared) > most:
        _skip(source(request), int(declared))
        raise _too_large()
    try:
        raw = _read(source(request), most + 1)
    except OSError as error:
        raise Refusal(408, "The request's body did not come whole, or not in time.") from error
    if len(raw) > most:
        _skip(source(request), MOST_SKIPPED)
        raise _too_large()
    return raw


def parsed(raw: bytes) -> dict[str, Any]:
    """The object that these bytes are as JSON. Raises `Refusal` 400 for anything else."""
    try:
        # Strictly, for Python reads halves of characters and other encodings where it is given bytes.
        body = json.loads(raw.decode("utf-8-sig"), parse_constant=_no_number, parse_float=_finite)
        if b"\\ud" in raw or b"\\uD" in raw:
            # Half a character by itself passes Python's parser, but is no text that could be stored or sent.
            json.dumps(body, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Refusal(400, f"The request body is not valid JSON: {_why(error)}") from error
    if not isinstance(body, dict):
        raise Refusal(400, "The request body is not a JSON object.")
    return body


def check_message_request(body: dict[str, Any]) -> None:
    """Raise `Refusal` 400 where even we must know better; all else is Claude's to judge."""
    for name, kind, noun in (("model", str, "string"), ("max_tokens", int, "integer")):
        if name not in body:
            raise Refusal(400, f"{name}: Field required")
        if not isinstance(body[name], kind) or isinstance(body[name], bool):
            raise Refusal(400, f"{name}: Input should be a valid {noun}")
    if body["max_tokens"] < 0:
        raise Refusal(400, "max_tokens: Input should be greater than or equal to 0")
    if body["max_tokens"] > MOST_TOKENS:
        raise Refusal(400, f"max_tokens: Input should be less than or equal to {MOST_TOKENS}")
    if not isinstance(body.get("stream", False), bool | None):
        raise Refusal(400, "stream: Input should be a valid boolean")


def source(request: HttpRequest) -> Readable:
    """Where the body is read from; Django reads none whose length was not declared, as a chunked one's is not."""
    if READ in request.META:
        return io.BytesIO(request.META[READ])
    chunked = "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower()
    if chunked and request.META.get("wsgi.input_terminated"):
        terminated: Readable = request.META["wsgi.input"]
        return terminated
    return request


def _read(source: Readable, most: int) -> bytes:
    pieces, left = [], most
    while left > 0 and (piece := source.read(min(STEP, left))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _skip(source: Readable, length: int) -> None:
    left = min(length, MOST_SKIPPED)
    try:
        while left > 0 and (piece := source.read(min(STEP, left))):
            left -= len(piece)
    except OSError:
        # Who does not go on sending will not read either.
        return


def _too_large() -> Refusal:
    return Refusal(413, "Request exceeds the maximum size")


def _why(error: Exception) -> str:
    return f"nested more than {DEEPEST} levels deep" if isinstance(error, RecursionError) else str(error)[:200]


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is no number that can be kept")
    return number
