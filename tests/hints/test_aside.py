"""Is what nobody waits for done all the same, in its order, whatever becomes of one of it?"""

from __future__ import annotations

import threading
from functools import partial

import pytest

from core.hints.aside import aside, wait


def test_all_is_done_in_its_order_and_nobody_waits_for_it() -> None:
    done: list[int] = []
    may_begin = threading.Event()
    aside(partial(may_begin.wait, 20), "the first")
    for number in range(20):
        aside(partial(done.append, number), f"number {number}")
    assert not wait(0)
    assert done == []

    may_begin.set()
    assert wait(20)
    assert done == list(range(20))
    aside(partial(done.append, 20), "one after a rest")
    assert wait(20)
    assert done[-1] == 20


def test_one_that_fails_is_logged_and_keeps_nobody(caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    def fail() -> None:
        raise OSError("no mail server")

    aside(fail, "e-mail «Budget»")
    aside(partial(done.append, "next"), "the next")
    assert wait(20)
    assert done == ["next"]
    assert "e-mail «Budget»: failed" in caplog.text
