"""What the tests of the chat share: a conversation that can be gone on with, answered by the simulator."""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Callable, Iterator

import pytest
from django.db import connection

from core.chat.say import Message, begin, say
from core.execution.run import run_call
from core.live.channel import Publisher
from core.models import Call, Conversation, Turn, User
from core.simulator.server import Simulator

Say = Callable[..., Turn]


def answer(turn: Turn) -> Turn:
    """Run the call as a worker would, and read the turn anew."""
    run_call(turn.call_id, Publisher(turn.call_id))
    return Turn.objects.select_related("call", "conversation").get(pk=turn.pk)


def png(width: int = 40, height: int = 30, shade: int = 200) -> bytes:
    """A real picture of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\x00" + bytes([shade, 120, 90]) * width) * height
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


PDF = b"%PDF-1.4\n1 0 obj<</Type/Pages/Kids[2 0 R]/Count 1>>endobj 2 0 obj<</Type/Page/Parent 1 0 R>>endobj\n%%EOF\n"


@pytest.fixture
def chatting(ready_made: None, member: User) -> Say:
    """Says something as the member and has it answered: `chatting("text")`, `chatting("more", after=turn)`."""

    def speak(text: str, *, after: Turn | None = None, asked: str = "claude-haiku-5-5", **more: object) -> Turn:
        message = Message(text, **more)  # type: ignore[arg-type]
        if after is None:
            return answer(begin(member, None, message, asked))
        return answer(say(after.conversation, after, message))

    return speak


@pytest.fixture
def conversation(chatting: Say) -> Conversation:
    turn = chatting("How tall is the tower?")
    assert turn.call.status == Call.Status.SUCCEEDED, turn.call.error_message
    return turn.conversation


@pytest.fixture
def worker(simulator: Simulator) -> Iterator[None]:
    """Runs what others put into the queue, in a thread of this process."""
    stopped = threading.Event()

    def work() -> None:
        while not stopped.wait(0.02):
            for call_id in list(Call.objects.filter(status=Call.Status.QUEUED).values_list("pk", flat=True)):
                run_call(call_id, Publisher(call_id))
        connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stopped.set()
    thread.join()
