"""How is a batch read that a program sends, of up to 256 MB, without holding it in memory?"""

from __future__ import annotations

import codecs
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from core.batches.bodies import MOST_ROW_BYTES
from core.batches.start import BadRowError, Row
from core.intake.requests import MOST_TOKENS

# Source: the API's limit on the body of one batch.
MOST_BYTES = 256 * 1024 * 1024
# Bytes read at once; doubled while one request is longer.
STEP = 256 * 1024
_SPACE = " \t\n\r"


class UnreadableBatchError(ValueError):
    """What was sent is no batch."""


class TooLargeBatchError(Exception):
    """More than the API takes in one batch."""


class SentBatch:
    """A batch as a program sends it, read piece by piece from `read`, which answers nothing at the end."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self._text = ""
        self._at = 0
        self._size = 0
        self._over = False
        self._hash = hashlib.sha256()
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._json = json.JSONDecoder(parse_constant=_no_number, parse_float=_finite)

    def digest(self) -> str:
        """Of all that was sent; to be asked for when the rows are through."""
        return self._hash.hexdigest()

    def rows(self) -> Iterator[Row]:
        """Each request as it comes. Raises `UnreadableBatchError`, `TooLargeBatchError` and `BadRowError`."""
        self._expect("{")
        found = False
        while not self._skip("}"):
            name = self._value()
            self._expect(":")
            if name != "requests":
                raise UnreadableBatchError(f"{name}: Extra inputs are not permitted")
            found = True
            yield from self._requests()
            if not self._skip(","):
                self._expect("}")
                break
        if self._peek():
            self._no_json("something follows its end")
        if not found:
            raise UnreadableBatchError("requests: Field required")

    def _requests(self) -> Iterator[Row]:
        if not self._skip("["):
            raise UnreadableBatchError("requests: Input should be a valid list")
        position = 0
        while not self._skip("]"):
            yield _row(position, self._value())
            position += 1
            if not self._skip(","):
                self._expect("]")
                return

    def _value(self) -> Any:
        """The JSON value that begins here; more is read until it is whole."""
        self._peek()
        step = STEP
        while True:
            try:
                value, end = self._json.raw_decode(self._text, self._at)
            except RecursionError:
                self._no_json("nested too deeply")
            except ValueError as error:
                if len(self._text) - self._at > MOST_ROW_BYTES:
                    raise TooLargeBatchError from error
                if not self._fill(step):
                    self._no_json(str(error)[:200])
                step *= 2
                continue
            self._at = end
            return value

    def _peek(self) -> str:
        """The next character that is no space, or an empty text at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in _SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fill(STEP):
                return ""

    def _skip(self, character: str) -> bool:
        if self._peek() != character:
            return False
        self._at += 1
        return True

    def _expect(self, character: str) -> None:
        if not self._skip(character):
            self._no_json(f"a «{character}» is missing")

    def _fill(self, size: int) -> bool:
        """Read more; what was used of the text is let go. False at the end."""
        if self._over:
            return False
        piece = self._read(size)
        self._size += len(piece)
        if self._size > MOST_BYTES:
            raise TooLargeBatchError
        self._hash.update(piece)
        self._over = not piece
        try:
            more = self._decode(piece, final=self._over)
        except UnicodeDecodeError:
            self._no_json("not UTF-8")
        self._text, self._at = self._text[self._at :] + more, 0
        return not self._over

    def _no_json(self, why: str) -> NoReturn:
        raise UnreadableBatchError(f"The request body is not valid JSON: {why}")


def _row(position: int, item: Any) -> Row:
    """One request of the list, in the shape of the API."""
    where = f"requests.{position}"
    if not isinstance(item, dict):
        raise BadRowError(position, f"{where}: Input should be a valid dictionary")
    for name in ("custom_id", "params"):
        if name not in item:
            raise BadRowError(position, f"{where}.{name}: Field required")
    for name in item.keys() - {"custom_id", "params"}:
        raise BadRowError(position, f"{where}.{name}: Extra inputs are not permitted")
    if not isinstance(item["custom_id"], str):
        raise BadRowError(position, f"{where}.custom_id: Input should be a valid string")
    if not isinstance(item["params"], dict):
        raise BadRowError(position, f"{where}.params: Input should be a valid dictionary")
    _check_params(position, item["params"])
    return Row(item["custom_id"], item["params"])


def _check_params(position: int, params: dict[str, Any]) -> None:
    """What has to be known of a request to say what it can cost; all else is Claude's to judge, row by row."""
    where = f"requests.{position}.params"
    for name, kind, noun in (("model", str, "string"), ("max_tokens", int, "integer"), ("messages", list, "list")):
        if name not in params:
            raise BadRowError(position, f"{where}.{name}: Field required")
        if not isinstance(params[name], kind) or isinstance(params[name], bool):
            raise BadRowError(position, f"{where}.{name}: Input should be a valid {noun}")
    if params["max_tokens"] < 0:
        raise BadRowError(position, f"{where}.max_tokens: Input should be greater than or equal to 0")
    if params["max_tokens"] > MOST_TOKENS:
        raise BadRowError(position, f"{where}.max_tokens: Input should be less than or equal to {MOST_TOKENS}")


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON value")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is no number that can be kept")
    return number
