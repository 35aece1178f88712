"""How do several threads of a process have one thing done for all of them at once?"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")

# Seconds in line, after which whoever waits does its own: what keeps those in front may be nothing that concerns it.
LONGEST_IN_LINE = 1.0


class Apart:
    """Says of one of many that it has to be done by itself."""


APART: Final = Apart()


class Together(Generic[T, R]):
    """Work that is cheaper for many than for each: a commit, for one.

    Whoever comes while nobody is at work begins at once, so one alone waits for nobody. Those who come meanwhile wait,
    but not for long, and the first of them then works for all. `alone` does it for one; `together` for several, and
    answers for each its result, or `APART`. What is `APART`, and everything where `together` fails, is done by `alone`
    in the thread that brought it: so each thread sees its own errors, and `together` must leave nothing behind when it
    fails.
    `let_go` is called in the thread of whoever has to wait: what it holds may be just what the others need.
    """

    def __init__(
        self,
        alone: Callable[[T], R],
        together: Callable[[Sequence[T]], Sequence[R | Apart]],
        most: int,
        let_go: Callable[[], object] = lambda: None,
    ) -> None:
        self._alone = alone
        self._together = together
        # How many are done at once at most: whoever comes first would wait too long otherwise.
        self._most = most
        self._let_go = let_go
        self._changing = threading.Lock()
        self._waiting: deque[_Waiting[T, R]] = deque()
        self._at_work = False

    def do(self, item: T) -> R:
        mine: _Waiting[T, R] = _Waiting(item)
        with self._changing:
            first, self._at_work = not self._at_work, True
            if not first:
                self._waiting.append(mine)
        if not first:
            # Whatever becomes of that: those behind may wait for this one to lead them.
            with contextlib.suppress(Exception):
                self._let_go()
            if not mine.turn.acquire(timeout=LONGEST_IN_LINE) and not self._left(mine):
                # Somebody is at work for it.
                mine.turn.acquire()
        if first or mine.leads:
            self._lead(mine)
        return self._alone(item) if isinstance(mine.result, Apart) else mine.result

    def _left(self, mine: _Waiting[T, R]) -> bool:
        """Leave the line; False where it is not in it any more."""
        with self._changing, contextlib.suppress(ValueError):
            self._waiting.remove(mine)
            return True
        return False

    def _lead(self, mine: _Waiting[T, R]) -> None:
        """Work for this one and those that wait, and let the next ones do the same."""
        others: list[_Waiting[T, R]] = []
        try:
            others = self._others()
            if others:
                group = [mine, *others]
                for each, result in zip(group, self._together([each.item for each in group]), strict=True):
                    each.result = result
            else:
                mine.result = self._alone(mine.item)
        except Exception:
            if not others:
                raise
            # Which of them it was for, each finds out by itself.
            for each in group:
                each.result = APART
        finally:
            self._hand_on()
            for each in others:
                each.turn.release()

    def _others(self) -> list[_Waiting[T, R]]:
        with self._changing:
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), self._most - 1))]

    def _hand_on(self) -> None:
        with self._changing:
            following = self._waiting.popleft() if self._waiting else None
            self._at_work = following is not None
        if following is not None:
            following.leads = True
            following.turn.release()


class _Waiting(Generic[T, R]):
    """One of them, and what became of it."""

    def __init__(self, item: T) -> None:
        self.item = item
        self.result: R | Apart = APART
        self.leads = False
        # Released once, when it is done or leads. An event would do the same with three locks.
        self.turn = threading.Lock()
        self.turn.acquire()
