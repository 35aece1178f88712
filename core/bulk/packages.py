"""What is in the archive that an Excel file is, and can it be unpacked without harm?

Only the parts that a table needs are ever unpacked, each as a stream and no further than its limit.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import IO, Protocol
from xml.parsers.expat import ExpatError, ParserCreate

from core.bulk.raw import BadTableError, Beat

DAMAGED = "This Excel file is damaged."
NONE = "This Excel file is damaged, or is none."
TOO_LARGE = "Unpacked, this Excel file is too large. Save the table as CSV."
PROTECTED = "This Excel file is protected by a password. Save it without one, or save the table as CSV."
# Bytes of the list of parts, which is held in memory; of a part that is read as a stream, and of one that says
# little, such as which sheets there are.
MOST_LISTED = 2_000_000
MOST_UNPACKED = 1_000_000_000
MOST_OF_SMALL = 20_000_000
# Bytes that are unpacked at once; of one tag, which is held in memory; tags within tags, and names of them.
PIECE = 16_384
LONGEST_TAG = 1_000_000
DEEPEST = 100
MOST_NAMES = 1_000
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    ExpatError,
    EOFError,
    OSError,
    LookupError,
    ValueError,
    NotImplementedError,
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Package:
    """The parts of an archive by their names, which count without regard to capitals and to the way a slash leans."""

    def __init__(self, file: IO[bytes]) -> None:
        with refused_as(NONE):
            # Before anything of the list is read.
            end = zipfile._EndRecData(file)  # type: ignore[attr-defined]
            if end is None or end[zipfile._ECD_SIZE] > MOST_LISTED:  # type: ignore[attr-defined]
                raise BadTableError(NONE if end is None else TOO_LARGE)
            file.seek(0)
            self._archive = zipfile.ZipFile(file)
        self._parts = {_plain(part.filename): part for part in self._archive.infolist()}

    def __contains__(self, name: str) -> bool:
        return _plain(name) in self._parts

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def close(self) -> None:
        self._archive.close()

    @contextmanager
    def opened(self, name: str, most: int) -> Iterator[IO[bytes]]:
        """This part as a stream, no longer than it says. Raises `BadTableError`, also while it is read."""
        with refused_as(DAMAGED):
            part = self._parts[_plain(name)]
            if part.file_size > most:
                raise BadTableError(TOO_LARGE)
            if part.flag_bits & 1:
                raise BadTableError(PROTECTED)
            if part.compress_type not in _METHODS:
                # Whatever else there is unpacks as much at once as it likes.
                raise BadTableError(DAMAGED)
            with self._archive.open(part) as stream:
                yield stream


def _plain(name: str) -> str:
    return name.replace("\\", "/").lstrip("/").casefold()


@contextmanager
def refused_as(sentence: str) -> Iterator[None]:
    """Whatever goes wrong in here with an archive or its XML is said with this sentence."""
    try:
        yield
    except BadTableError:
        raise
    except _UNREADABLE as error:
        raise BadTableError(sentence) from error


class Listener(Protocol):
    """Hears of each tag by its name without a prefix, and of the text between them, in pieces."""

    def start(self, name: str, attributes: dict[str, str]) -> None: ...
    def text(self, text: str) -> None: ...
    def end(self, name: str) -> None: ...


def walk(stream: IO[bytes], listener: Listener, beat: Beat) -> Generator[None]:
    """Let `listener` hear the XML in this stream; hands over after each piece of it, and can be left there."""
    guard = _Guard(listener)
    parser = ParserCreate()
    parser.buffer_text = True
    parser.buffer_size = PIECE
    parser.StartElementHandler = guard.start
    parser.EndElementHandler = guard.end
    parser.CharacterDataHandler = listener.text
    # What a document declares for itself, and could let grow without end.
    parser.StartDoctypeDeclHandler = guard.no_doctype
    fed = 0
    while piece := stream.read(PIECE):
        beat()
        parser.Parse(piece, False)
        fed += len(piece)
        if fed - parser.CurrentByteIndex > LONGEST_TAG:
            raise BadTableError(DAMAGED)
        yield
    parser.Parse(b"", True)
    yield


class _Guard:
    """Between the parser, which remembers each name and each tag that is not closed yet, and a listener."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._depth = 0
        self._tags: dict[str, str] = {}
        self._attributes: set[str] = set()

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        name = self._tags.get(tag)
        if name is None:
            name = self._tags[tag] = tag.rpartition(":")[2]
        if not attributes.keys() <= self._attributes:
            self._attributes.update(attributes)
        if self._depth > DEEPEST or len(self._tags) > MOST_NAMES or len(self._attributes) > MOST_NAMES:
            raise BadTableError(DAMAGED)
        self._listener.start(name, attributes)

    def end(self, tag: str) -> None:
        self._depth -= 1
        self._listener.end(self._tags[tag])

    def no_doctype(self, *_: object) -> None:
        raise BadTableError(DAMAGED)
