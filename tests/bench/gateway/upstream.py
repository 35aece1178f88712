"""An upstream that costs next to nothing: answers like Claude, as late and as slowly as the request says.

`python -m tests.bench.gateway.upstream PORT [WISHES]`. A request says it in `metadata.user_id`, which goes through
whole, and WISHES count where it does not: `delay=50 pieces=20 pace=10`: milliseconds before the answer, pieces of text
in a stream, milliseconds between two.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import sys

_number = itertools.count()
_usual = sys.argv[2] if len(sys.argv) > 2 else ""
_USAGE = {
    "input_tokens": 20,
    "output_tokens": 10,
    "cache_creation_input_tokens": 0,
    "cache_read_input_tokens": 0,
    "service_tier": "standard",
}


def piece(number: int) -> str:
    """The text of one piece of a stream."""
    return f"word{number} "


class Upstream(asyncio.Protocol):
    """One connection; keeps it open, one request after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._received = b""
        self._task: asyncio.Task[None] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._task:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = _length(head)
        if len(rest) < length:
            return
        self._received = rest[length:]
        request = json.loads(rest[:length] or b"{}")
        wishes = _wishes(request)
        if request.get("stream"):
            self._task = asyncio.ensure_future(self._stream(request["model"], wishes))
        elif wishes.get("delay"):
            asyncio.get_running_loop().call_later(wishes["delay"] / 1000, self._answer, request)
        else:
            self._answer(request)

    def _answer(self, request: dict[str, object]) -> None:
        number = next(_number)
        message = _message(request.get("model"), number, [{"type": "text", "text": "Done."}], "end_turn")
        body = json.dumps(message).encode()
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_{number}\r\n"
        self._transport.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)

    async def _stream(self, model: object, wishes: dict[str, int]) -> None:
        await asyncio.sleep(wishes.get("delay", 0) / 1000)
        number = next(_number)
        head = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nrequest-id: req_{number}\r\n"
        self._transport.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
        self._event("message_start", {"message": _message(model, number, [], None)})
        self._event("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}})
        for count in range(wishes.get("pieces", 5)):
            self._event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": piece(count)}})
            if wishes.get("pace"):
                await asyncio.sleep(wishes["pace"] / 1000)
        self._event("content_block_stop", {"index": 0})
        self._event("message_delta", {"delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": _USAGE})
        self._event("message_stop", {})
        self._transport.write(b"0\r\n\r\n")

    def _event(self, kind: str, data: dict[str, object]) -> None:
        text = f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()
        self._transport.write(b"%x\r\n%b\r\n" % (len(text), text))


def _message(model: object, number: int, content: list[object], stop_reason: str | None) -> dict[str, object]:
    return {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": _USAGE,
    }


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


def _wishes(request: dict[str, object]) -> dict[str, int]:
    metadata = request.get("metadata")
    own = str(metadata.get("user_id") or "") if isinstance(metadata, dict) else ""
    text = own if "=" in own else _usual
    return {name: int(value) for name, _, value in (part.partition("=") for part in text.split())}


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", port, backlog=2000)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    gc.freeze()
    asyncio.run(serve(int(sys.argv[1])))
