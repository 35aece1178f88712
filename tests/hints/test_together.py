"""Is each done once, by whoever comes first, and does each thread see its own errors?"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from core.hints import together
from core.hints.together import APART, Together

TIMEOUT = 20


class Workshop:
    """Doubles numbers; those together are kept back until the first one is let go."""

    def __init__(self, most: int = 100) -> None:
        self.groups: list[list[int]] = []
        self.alone: list[int] = []
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.together = Together(self.do_alone, self.do_together, most)

    def do_alone(self, number: int) -> int:
        self.alone.append(number)
        if number == 0:
            self.begun.set()
            assert self.go_on.wait(TIMEOUT)
        if number < 0:
            raise ValueError(number)
        return number * 2

    def do_together(self, numbers: Sequence[int]) -> list[Any]:
        self.groups.append(list(numbers))
        if min(numbers) < 0:
            raise ArithmeticError
        return [APART if number == 13 else number * 2 for number in numbers]

    def doubled(self, *numbers: int) -> list[Future[int]]:
        """What becomes of these, all brought while somebody works on the 0."""
        with ThreadPoolExecutor(len(numbers) + 1) as pool:
            first = pool.submit(self.together.do, 0)
            assert self.begun.wait(TIMEOUT)
            others = [pool.submit(self.together.do, number) for number in numbers]
            wait_until(lambda: len(self.together._waiting) == len(numbers))
            self.go_on.set()
        assert first.result() == 0
        return others


def wait_until(true: Any) -> None:
    tick = threading.Event()
    for _ in range(TIMEOUT * 1000):
        if true():
            return
        tick.wait(0.001)
    raise AssertionError("not true in time")


def test_one_alone_waits_for_nobody() -> None:
    shop = Workshop()
    assert [shop.together.do(number) for number in (1, 2)] == [2, 4]
    assert (shop.alone, shop.groups) == ([1, 2], [])


def test_those_who_come_meanwhile_are_done_at_once() -> None:
    shop = Workshop()
    assert [each.result() for each in shop.doubled(1, 2, 3)] == [2, 4, 6]
    assert shop.alone == [0]
    assert [sorted(group) for group in shop.groups] == [[1, 2, 3]]


def test_so_many_at_once_and_no_more() -> None:
    shop = Workshop(most=4)
    assert [each.result() for each in shop.doubled(*range(1, 10))] == list(range(2, 20, 2))
    assert [len(group) for group in shop.groups] == [4, 4]
    assert sorted([*shop.groups[0], *shop.groups[1], *shop.alone]) == list(range(10))


def test_what_has_to_be_done_by_itself_is() -> None:
    shop = Workshop()
    assert [each.result() for each in shop.doubled(1, 13, 3)] == [2, 26, 6]
    assert shop.alone == [0, 13]


def test_where_it_fails_each_thread_does_its_own_and_sees_its_own_error() -> None:
    shop = Workshop()
    good, bad, other = shop.doubled(1, -2, 3)
    assert (good.result(), other.result()) == (2, 6)
    with pytest.raises(ValueError, match="-2"):
        bad.result()
    assert sorted(shop.alone) == [-2, 0, 1, 3]
    # And it goes on.
    assert shop.together.do(5) == 10


def test_after_an_error_of_one_alone_the_next_is_done() -> None:
    shop = Workshop()
    with pytest.raises(ValueError, match="-1"):
        shop.together.do(-1)
    assert shop.together.do(1) == 2


def test_under_load_each_is_done_once() -> None:
    shop = Workshop(most=8)
    with ThreadPoolExecutor(32) as pool:
        assert list(pool.map(shop.together.do, range(1, 3000))) == list(range(2, 6000, 2))
    # 13 is asked for together and then alone.
    done = [number for group in shop.groups for number in group if number != 13] + shop.alone
    assert sorted(done) == list(range(1, 3000))


def test_whoever_waits_holds_nothing_that_the_others_need() -> None:
    """As with the connections of a pool: each thread comes with one, and who works for all of them needs one more."""
    pool, theirs = threading.Semaphore(2), threading.local()
    begun, go_on = threading.Event(), threading.Event()

    def work(numbers: Sequence[int]) -> list[int]:
        if not getattr(theirs, "connected", False):
            assert pool.acquire(timeout=TIMEOUT / 10), "those who wait hold all of them"
            pool.release()
        if 0 in numbers:
            begun.set()
            assert go_on.wait(TIMEOUT)
        return list(numbers)

    def let_go() -> None:
        if getattr(theirs, "connected", False):
            theirs.connected = False
            pool.release()

    shop: Together[int, int] = Together(lambda number: work([number])[0], work, 100, let_go)

    def connected(number: int) -> int:
        theirs.connected = pool.acquire(timeout=TIMEOUT / 10)
        return shop.do(number)

    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(shop.do, 0)
        assert begun.wait(TIMEOUT)
        leads = threads.submit(shop.do, 1)
        wait_until(lambda: len(shop._waiting) == 1)
        others = [threads.submit(connected, number) for number in (2, 3)]
        wait_until(lambda: len(shop._waiting) == 3)
        go_on.set()

        assert [each.result() for each in (first, leads, *others)] == [0, 1, 2, 3]


def test_what_cannot_be_let_go_keeps_nobody_waiting() -> None:
    shop = Workshop()
    shop.together = Together(shop.do_alone, shop.do_together, 100, lambda: 1 / 0)
    assert [each.result() for each in shop.doubled(1, 2)] == [2, 4]


def test_whoever_is_in_line_for_too_long_does_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "LONGEST_IN_LINE", 0.05)
    shop = Workshop()
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(shop.together.do, 0)
        assert shop.begun.wait(TIMEOUT)
        assert [each.result(TIMEOUT) for each in [pool.submit(shop.together.do, number) for number in (1, 2)]] == [2, 4]
        assert not first.done()
        shop.go_on.set()

    assert first.result() == 0
    assert (sorted(shop.alone), shop.groups) == ([0, 1, 2], [])


def test_whoever_is_being_worked_for_does_not_do_its_own_beside_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "LONGEST_IN_LINE", 0.05)
    shop = Workshop()

    def slowly(numbers: Sequence[int]) -> list[int]:
        # Longer than anybody stays in line.
        time.sleep(0.2)
        return [number * 2 for number in numbers]

    shop.together = Together(shop.do_alone, slowly, 100)
    with ThreadPoolExecutor(4) as pool:
        first = pool.submit(shop.together.do, 0)
        assert shop.begun.wait(TIMEOUT)
        others = [pool.submit(shop.together.do, number) for number in (1, 2, 3)]
        wait_until(lambda: len(shop.together._waiting) == 3)
        shop.go_on.set()

    assert [each.result() for each in (first, *others)] == [0, 2, 4, 6]
    assert shop.alone == [0]
