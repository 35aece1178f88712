"""Is what a script hears, put together, the answer, whatever was lost on the way?"""

from __future__ import annotations

from typing import Any

import pytest

from core.sockets.frames import AGAIN, DONE, ERROR, TextFrames

WHOLE = "Do not sign this."


@pytest.mark.parametrize(
    ("heard", "whole", "told"),
    [
        ([], WHOLE, [WHOLE, DONE]),
        (["Do not ", "sign this."], WHOLE, [DONE]),
        # Redis was away while the rest was written.
        (["Do not "], WHOLE, ["sign this.", DONE]),
        # What was heard is of another try than the answer.
        (["Please "], WHOLE, [AGAIN, WHOLE, DONE]),
        (["One\x00"], "One\ufffd", [DONE]),
        (["One "], "One [DONE]", ["[", "DONE]", DONE]),
        (["Half an ans"], "", [DONE]),
        ([], "", [DONE]),
    ],
)
def test_at_the_end_a_script_gets_what_it_has_not_heard(heard: list[str], whole: str, told: list[str]) -> None:
    frames = TextFrames()
    for piece in heard:
        frames.heard("text", piece, "1-1")

    assert frames.ended({"text": whole}) == told


def test_the_next_answer_is_not_taken_for_the_rest_of_the_last() -> None:
    frames = TextFrames()
    frames.heard("text", "Do not ", "1-1")
    frames.ended({"text": WHOLE})
    frames.begun(2, "call", "")

    assert frames.ended({"text": "Yes."}) == ["Yes.", DONE]


def test_a_fault_comes_after_what_was_written() -> None:
    fault: dict[str, Any] = {"message": "The connection broke."}

    assert TextFrames().ended({"text": "Half", "error": fault}) == ["Half", f"{ERROR}The connection broke.", DONE]
