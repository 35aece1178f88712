"""How do the words of all calls of a process get to Redis? By one thread, many of them in one round trip.

Redis is asked as often for two hundred calls as for one, and a call does not wait for it, nor for its absence.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import redis

from core.hints.connection import quick_redis
from core.hints.per_process import PerProcess

log = logging.getLogger(__name__)

# Seconds within which words are gathered; the first after a silence goes at once. And within which first words of
# answers are: somebody looks at an empty page.
GATHER, BRIEFLY = 0.02, 0.005
# An hour after its last word nobody watches any more; the answer itself is in the database. Seconds.
KEPT_FOR = 3600
# Pieces; an answer has a few thousand at most. The oldest go first, and a late watcher then reads the database's.
MOST_PIECES = 20_000
# Pieces after which the hour begins anew; each time would double the work.
RENEWED_EACH = 100


@dataclass
class Told:
    """The stream of one call, and how much was told there. `whole` ends where a piece was lost: words with a hole in
    them would mislead. `silent` ends with the first words of an attempt."""

    key: str
    whole: bool = True
    pieces: int = 0
    silent: bool = True


@dataclass
class _Letter:
    """What there is to tell of one call: pairs of a kind and what belongs to it."""

    told: Told
    news: list[tuple[str, str]] = field(default_factory=list)

    def add(self, kind: str, data: str) -> None:
        if kind == "text" and self.news and self.news[-1][0] == "text":
            data = self.news.pop()[1] + data
        self.news.append((kind, data))


class Outbox:
    """Of this process; `tell` may be called by any of its threads, and never raises."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._letters: dict[str, _Letter] = {}
        self._some = threading.Event()
        self._first_words = threading.Event()
        self._sending = threading.Lock()
        threading.Thread(target=self._run, name="outbox", daemon=True).start()

    def tell(self, told: Told, kind: str, data: str) -> None:
        with self._changing:
            letter = self._letters.get(told.key)
            if letter is None:
                letter = self._letters[told.key] = _Letter(told)
            letter.add(kind, data)
        # Whoever clears these takes the letters after that, so what is set already is enough.
        if not self._some.is_set():
            self._some.set()
        if kind == "text" and told.silent and not self._first_words.is_set():
            self._first_words.set()
        told.silent = kind != "text"

    def flush(self) -> None:
        """Send now what there is to tell; it has been sent when this returns."""
        with self._sending:
            self._some.clear()
            self._first_words.clear()
            with self._changing:
                letters, self._letters = self._letters, {}
            if letters:
                _send(list(letters.values()))

    def _run(self) -> None:
        while True:
            self._some.wait()
            try:
                self.flush()
            except Exception:
                # Whatever it was, this thread must not end: nobody else would tell anything.
                log.exception("the words of running calls")
            if self._first_words.wait(GATHER):
                time.sleep(BRIEFLY)


def _send(letters: list[_Letter]) -> None:
    try:
        with quick_redis().pipeline(transaction=False) as pipe:
            told = [each for letter in letters for each in _write(pipe, letter)]
            answers = pipe.execute()
    except redis.RedisError as error:
        for letter in letters:
            letter.told.whole = False
        log.warning("nobody can watch %s calls any more: %s", len(letters), error)
        return
    for place, stream in told:
        if answers[place] is None:
            # What was told before is gone, and the rest by itself would mislead whoever comes now.
            stream.whole = False


def _write(pipe: redis.client.Pipeline, letter: _Letter) -> list[tuple[int, Told]]:
    """Add it to what is to be sent; answers at which places the answer says whether words were taken."""
    told, kept, places = letter.told, False, []
    for kind, data in letter.news:
        if kind == "text" and not told.whole:
            continue
        goes_on = kind == "text" and told.pieces > 0
        places.append((len(pipe), told))
        # Half a character, which JSON can name and nobody can send, must not take the others' words with it.
        entry: dict[Any, Any] = {"kind": kind, "data": data.encode(errors="replace")}
        pipe.xadd(told.key, entry, maxlen=MOST_PIECES, approximate=True, nomkstream=goes_on)
        kept = kept or kind == "ended" or told.pieces % RENEWED_EACH == 0
        told.pieces += 1
    # Wakes those who watch; what there is to read is in the stream.
    pipe.publish(told.key, "")
    if kept:
        pipe.expire(told.key, KEPT_FOR)
    return places


_outbox = PerProcess(Outbox)


def outbox() -> Outbox:
    return _outbox.get()
