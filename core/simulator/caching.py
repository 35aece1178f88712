"""Which part of a prompt is read from the cache, which is written to it, and which is neither?"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from core.simulator.catalogue import Model
from core.simulator.tokens import PromptBlock

LIFETIME = {"5m": 300.0, "1h": 3600.0}  # seconds
MAX_ENTRIES = 50_000


@dataclass(frozen=True)
class InputSplit:
    """Input tokens: the four are disjoint, their sum is what `count_tokens` says."""

    uncached: int
    written_5m: int
    written_1h: int
    read: int

    @property
    def total(self) -> int:
        return self.uncached + self.written_5m + self.written_1h + self.read


@dataclass
class _Entry:
    lifetime: float
    expires: float


class PromptCache:
    """Prefixes that were seen, per key and model. https://platform.claude.com/docs/en/build-with-claude/prompt-caching"""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}

    def clear(self) -> None:
        """Forget every prefix."""
        with self._lock:
            self._entries.clear()

    def split(self, owner: str, model: Model, blocks: Sequence[PromptBlock]) -> InputSplit:
        """Reads the longest known prefix, writes the prefixes up to every later breakpoint."""
        totals, hashes = _prefixes(f"{owner}|{model.id}", blocks)
        marks = [index for index, block in enumerate(blocks) if block.ttl and totals[index] >= model.min_cache_tokens]
        if not marks:
            return InputSplit(sum(block.tokens for block in blocks), 0, 0, 0)
        with self._lock:
            read = self._read(hashes[: marks[-1] + 1], totals)
            written = self._write(marks, [block.ttl or "5m" for block in blocks], hashes, totals, read)
        uncached = totals[-1] - totals[marks[-1]]
        return InputSplit(uncached, written["5m"], written["1h"], read)

    def _read(self, hashes: Sequence[str], totals: Sequence[int]) -> int:
        now = time.monotonic()
        for index in range(len(hashes) - 1, -1, -1):
            entry = self._entries.get(hashes[index])
            if entry and entry.expires > now:
                entry.expires = now + entry.lifetime
                return totals[index]
        return 0

    def _write(
        self, marks: Sequence[int], ttls: Sequence[str], hashes: Sequence[str], totals: Sequence[int], read: int
    ) -> dict[str, int]:
        written, done, now = {"5m": 0, "1h": 0}, read, time.monotonic()
        if len(self._entries) > MAX_ENTRIES:
            self._entries.clear()
        for index in marks:
            if totals[index] > done:
                lifetime = LIFETIME[ttls[index]]
                self._entries[hashes[index]] = _Entry(lifetime, now + lifetime)
                written[ttls[index]] += totals[index] - done
                done = totals[index]
        return written


def _prefixes(start: str, blocks: Sequence[PromptBlock]) -> tuple[list[int], list[str]]:
    """For every block: tokens and hash of the prompt up to its end."""
    totals: list[int] = []
    hashes: list[str] = []
    digest, total = hashlib.sha256(start.encode()), 0
    for block in blocks:
        total += block.tokens
        digest.update(f"{len(block.text)}:".encode() + block.text.encode("utf-8", "surrogatepass"))
        totals.append(total)
        hashes.append(digest.hexdigest())
    return totals, hashes
