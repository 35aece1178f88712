"""A stand-in for the batches of the Claude API that works on nothing: `python -m tests.bench.upstream_batches PORT`.

It remembers the names of a batch's requests and answers each with the same short message, so that what is measured is
this project and not the simulator.
"""

from __future__ import annotations

import json
import re
import sys
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

NAME = re.compile(rb'"custom_id":"([a-zA-Z0-9_-]{1,64})"')
PIECE = 1 << 20
MESSAGE = {
    "id": "msg_01",
    "type": "message",
    "role": "assistant",
    "model": "bench",
    "content": [{"type": "text", "text": "Invoice. It is to be paid on Friday. " * 5}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 250, "output_tokens": 50, "service_tier": "batch"},
}
batches: dict[str, list[str]] = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        left, rest, names = int(self.headers["content-length"]), b"", []
        while left:
            piece = self.rfile.read(min(PIECE, left))
            left -= len(piece)
            text = rest + piece
            ends = [match.end() for match in NAME.finditer(text)]
            names += [match.decode() for match in NAME.findall(text)]
            # A name that is cut in two is read with the next piece.
            rest = text[max(ends[-1] if ends else 0, len(text) - 100) :]
        batch_id = f"msgbatch_{len(batches)}"
        batches[batch_id] = names
        self._send(json.dumps(_batch(batch_id)).encode())

    def do_GET(self) -> None:
        batch_id = self.path.split("?")[0].split("/")[4]
        if self.path.endswith("/results"):
            message = json.dumps(MESSAGE)
            lines = (
                f'{{"custom_id":"{name}","result":{{"type":"succeeded","message":{message}}}}}\n'
                for name in batches[batch_id]
            )
            self._send("".join(lines).encode())
        else:
            self._send(json.dumps(_batch(batch_id)).encode())

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


def _batch(batch_id: str) -> dict[str, Any]:
    now = datetime.now(UTC)
    counts = {"processing": 0, "succeeded": len(batches[batch_id]), "errored": 0, "canceled": 0, "expired": 0}
    return {
        "id": batch_id,
        "type": "message_batch",
        "processing_status": "ended",
        "request_counts": counts,
        "created_at": now.isoformat(),
        "expires_at": (now + timedelta(hours=24)).isoformat(),
        "ended_at": now.isoformat(),
        "cancel_initiated_at": None,
        "archived_at": None,
        "results_url": None,
    }


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
