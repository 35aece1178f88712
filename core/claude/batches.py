"""How do batches get to Claude and back, without any of them being held in memory?"""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

from core.claude.client import sdk
from core.claude.errors import timed_out, translated

if TYPE_CHECKING:
    from anthropic.types.messages import MessageBatch

PATH = "/v1/messages/batches"
# Seconds. The answer to a body of 256 MB comes when all of it was looked at.
ANSWER_TIMEOUT = 300.0
ASK_TIMEOUT = 60.0
LIST_PAGE = 100
# Bytes.
PIECE = 65_536
# Of one result: more than any answer has.
LONGEST_LINE = 32_000_000


@dataclass(frozen=True)
class ProviderBatch:
    """A batch as Claude knows it."""

    id: str
    status: str
    # All of its requests, however far they are.
    requests: int
    created_at: dt.datetime
    # Results are kept for 29 days; afterwards the batch is archived without them.
    results_there: bool

    @property
    def ended(self) -> bool:
        return self.status == "ended"


class _Timed:
    """A file that is not read any more once its time is over, so that nothing of it leaves later than that."""

    def __init__(self, file: IO[bytes], seconds: float) -> None:
        self._file = file
        self._until = time.monotonic() + seconds
        # Its length is asked for by these.
        self.fileno, self.tell, self.seek = file.fileno, file.tell, file.seek

    def read(self, size: int = -1) -> bytes:
        if time.monotonic() > self._until:
            raise timed_out()
        return self._file.read(size)

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.read(PIECE), b"")


def create(body: IO[bytes], headers: Mapping[str, str], *, within: float, beta: bool = False) -> ProviderBatch:
    """Send a batch whose JSON is in this file; after `within` seconds no further piece of it leaves.

    With `beta` its requests may have what only the API's beta knows.

    Raises `ClaudeError`; not knowing whether the batch was taken is no rarity.
    """
    from anthropic.types.messages import MessageBatch

    with translated():
        made = sdk().post(
            f"{PATH}?beta=true" if beta else PATH,
            cast_to=MessageBatch,
            # A file is sent in pieces, and with its length.
            content=cast(IO[bytes], _Timed(body, within)),
            options={"headers": {"content-type": "application/json", **headers}, "timeout": ANSWER_TIMEOUT},
        )
    return _known(made)


def retrieve(batch_id: str) -> ProviderBatch:
    """How far a batch is. Raises `ClaudeError`."""
    with translated():
        return _known(sdk().messages.batches.retrieve(batch_id, timeout=ASK_TIMEOUT))


def cancel(batch_id: str) -> ProviderBatch:
    """Tell Claude to stop; what was worked on by then is billed. Raises `ClaudeError`."""
    with translated():
        return _known(sdk().messages.batches.cancel(batch_id, timeout=ASK_TIMEOUT))


def created_since(moment: dt.datetime) -> Iterator[ProviderBatch]:
    """Every batch of this workspace since then, the newest first. Raises `ClaudeError`."""
    with translated():
        for batch in sdk().messages.batches.list(limit=LIST_PAGE, timeout=ASK_TIMEOUT):
            if batch.created_at < moment:
                return
            yield _known(batch)


@dataclass(frozen=True)
class Result:
    """A line of a batch's results, of so many bytes; one without a name is no result that can be understood."""

    custom_id: str
    result: Mapping[str, Any]
    size: int


def results(batch_id: str) -> Generator[Result]:
    """The results of an ended batch as they come, one after the other and in no order. Raises `ClaudeError`.

    Every request has one, so whoever counts them knows whether all came.
    """
    from anthropic._decoders.jsonl import JSONLDecoder

    with translated():
        found = sdk().get(
            f"{PATH}/{batch_id}/results",
            cast_to=JSONLDecoder[dict[str, Any]],
            options={"headers": {"accept": "application/binary"}, "timeout": ASK_TIMEOUT},
            stream=True,
        )
        try:
            # The SDK's own reading gives up at the first odd line, and holds a line of any length.
            yield from map(_result, _lines(found.http_response.iter_bytes(PIECE)))
        finally:
            found.close()


def _lines(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The lines in these bytes; of one that is too long, what comes behind its limit is let go."""
    held = bytearray()
    for piece in pieces:
        *ends, rest = piece.split(b"\n")
        for end in ends:
            yield bytes(held + end[: LONGEST_LINE - len(held)])
            held.clear()
        held += rest[: LONGEST_LINE - len(held)]
    if held:
        yield bytes(held)


def _whole(value: Any) -> Any:
    """Without halves of characters, which JSON can hold and no database."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return {_whole(name): _whole(item) for name, item in value.items()} if isinstance(value, dict) else value


def _result(line: bytes) -> Result:
    try:
        said = json.loads(line)
        if b"\\ud" in line.lower():
            said = _whole(said)
        name, result = said["custom_id"], said["result"]
        if isinstance(name, str) and isinstance(result, dict) and isinstance(result["type"], str):
            return Result(name, result, len(line))
    except (ValueError, LookupError, TypeError, RecursionError):
        pass
    return Result("", {}, len(line))


def _known(batch: MessageBatch) -> ProviderBatch:
    counts = batch.request_counts
    return ProviderBatch(
        id=batch.id,
        status=batch.processing_status,
        requests=counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired,
        created_at=batch.created_at,
        results_there=batch.archived_at is None,
    )
