"""A WebSocket client of sixty lines (RFC 6455), so that the server is not tested with its own code."""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

TEXT, BINARY, CLOSE = 1, 2, 8
# Seconds that a test may listen.
LONGEST = 40


class RefusedError(Exception):
    """The handshake was answered with another status than 101."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


class Socket:
    """One open WebSocket; `code` is set once the server has closed it."""

    def __init__(self, port: int, path: str = "/ws/chat/", headers: Mapping[str, str] | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self._buffer = b""
        self._until_when = time.monotonic() + LONGEST
        self.code: int | None = None
        lines = {
            "Host": f"127.0.0.1:{port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            **(headers or {}),
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self._socket.sendall(f"GET {path} HTTP/1.1\r\n{head}\r\n".encode())
        answer = self._until(b"\r\n\r\n").decode().split("\r\n")
        self.headers = dict(line.split(": ", 1) for line in answer[1:] if line)
        status = int(answer[0].split(" ")[1])
        if status != 101:
            self.drop()
            raise RefusedError(status)

    def send(self, text: str) -> None:
        self._frame(TEXT, text.encode())

    def tell(self, kind: str, **fields: Any) -> None:
        self.send(json.dumps({"type": kind, **fields}))

    def send_bytes(self, data: bytes) -> None:
        self._frame(BINARY, data)

    def announce(self, size: int) -> None:
        """The head of a text so long, and nothing of it."""
        self._socket.sendall(struct.pack("!BBQ", 0x80 | TEXT, 0xFF, size) + os.urandom(4))

    def read(self) -> str | None:
        """The next text; None once the server has closed."""
        while True:
            first, second = self._exactly(2)
            length = second & 0x7F
            if length >= 126:
                size = 2 if length == 126 else 8
                length = int.from_bytes(self._exactly(size), "big")
            payload = self._exactly(length)
            if first & 0x0F == CLOSE:
                self.code = struct.unpack("!H", payload[:2])[0] if payload else 1005
                self._frame(CLOSE, payload)
                return None
            if first & 0x0F == TEXT:
                return payload.decode()

    def event(self) -> dict[str, Any]:
        """The next JSON event that is no ping."""
        while True:
            text = self.read()
            assert text is not None, f"closed with {self.code}"
            event: dict[str, Any] = json.loads(text)
            if event["type"] != "ping":
                return event

    def until(self, kind: str) -> list[dict[str, Any]]:
        """All events up to the first of this kind."""
        events = [self.event()]
        while events[-1]["type"] != kind:
            assert events[-1]["type"] != "error", events[-1]
            events.append(self.event())
        return events

    def answer(self) -> list[str]:
        """All texts up to `[DONE]`, without it."""
        texts = []
        while (text := self.read()) != "[DONE]":
            assert text is not None, f"closed with {self.code}"
            texts.append(text)
        return texts

    def drop(self) -> None:
        """Vanish without a word, as a lost connection does."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.drop()

    def _frame(self, opcode: int, payload: bytes) -> None:
        mask = os.urandom(4)
        length = len(payload)
        size = (
            bytes([0x80 | length])
            if length < 126
            else struct.pack("!BH", 0xFE, length)
            if length < 65536
            else struct.pack("!BQ", 0xFF, length)
        )
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        self._socket.sendall(bytes([0x80 | opcode]) + size + mask + masked)

    def _until(self, end: bytes) -> bytes:
        while end not in self._buffer:
            self._more()
        found, _, self._buffer = self._buffer.partition(end)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        found, self._buffer = self._buffer[:size], self._buffer[size:]
        return found

    def _more(self) -> None:
        assert time.monotonic() < self._until_when, "the server says a lot, and not what the test waits for"
        piece = self._socket.recv(65536)
        if not piece:
            raise EOFError
        self._buffer += piece
