"""When does a stream begin, and what is first in it?"""

from __future__ import annotations

import threading

import pytest

from core.claude.errors import timed_out
from core.execution.run import Outcome
from core.gateway import streams

STARTED = streams.event_bytes("message_start", '{"type": "message_start"}')


def test_signs_of_life_do_not_come_before_the_beginning() -> None:
    feed = streams.Feed()
    feed.alive({"request-id": "req_1"})
    feed.opened({"request-id": "req_2"})
    feed.event("message_start", '{"type": "message_start"}')

    assert feed.wait_for_first() is None
    assert feed.taken(wait=False) == STARTED
    assert feed.headers == {"request-id": "req_2"}, "the answer that is shown is that of another try"


def test_what_says_nothing_for_long_but_lives_is_begun_with_signs_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LONGEST_SILENCE", 0.05)
    feed = streams.Feed()
    threading.Timer(0.1, feed.alive, [{"request-id": "req_1"}]).start()

    assert feed.wait_for_first() is None
    assert feed.headers == {"request-id": "req_1"}
    assert feed.taken(wait=False) == streams.PING
    feed.alive({})
    feed.event("message_start", '{"type": "message_start"}')
    assert feed.taken(wait=False) == streams.PING + STARTED


def test_what_fails_before_anything_is_shown_is_no_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LONGEST_SILENCE", 0.05)
    feed, outcome = streams.Feed(), Outcome(error=timed_out())
    feed.alive({})
    feed.finish(outcome)

    assert feed.wait_for_first() is outcome
