"""How is the simulator started, and how does it speak HTTP?"""

from __future__ import annotations

import contextlib
import http.server
import logging
import signal
import socket
import socketserver
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from core.simulator import routes
from core.simulator.batches import Batches
from core.simulator.connection import ClientGoneError, Connection
from core.simulator.errors import ApiError, invalid
from core.simulator.requests import Reply, Request
from core.simulator.state import HUMAN_PACE, State, new_id
from core.simulator.validation import warm_up

logger = logging.getLogger(__name__)

MAX_BODY = 32 * 1024 * 1024  # bytes
MAX_BATCH_BODY = 256 * 1024 * 1024
IDLE_SECONDS = 120.0


class Simulator:
    """A simulator in this process: `with Simulator() as simulator: client(base_url=simulator.url)`.

    `pace` is tokens per second (0: at once), `batch_seconds` the time until a batch has ended. Port 0 takes a free one;
    a busy port raises `OSError`.
    """

    def __init__(
        self, host: str = "127.0.0.1", port: int = 0, *, pace: float = 0.0, batch_seconds: float = 0.0
    ) -> None:
        self.state = State(Batches(batch_seconds), pace=pace)
        self._server = _Server((host, port), self.state)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The base URL for a client."""
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    def start(self) -> Simulator:
        """Serve in the background."""
        warm_up()
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop to listen and break all connections."""
        if self._thread:
            self._server.shutdown()
            self._thread.join()
            self._thread = None
        self._server.server_close()
        self._server.break_connections()

    def bill(self) -> dict[str, Any]:
        """The bill, as `GET /_simulator/bill` answers it."""
        self.state.batches.settle_all(self.state)
        return self.state.bill.as_json()

    def __enter__(self) -> Simulator:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def serve(
    host: str = "127.0.0.1",
    port: int = 8001,
    *,
    pace: float = HUMAN_PACE,
    batch_seconds: float = 20.0,
    on_ready: Callable[[str], object] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; tells `on_ready` the URL; raises `OSError` if the port is busy."""
    stop = threading.Event()
    simulator = Simulator(host, port, pace=pace, batch_seconds=batch_seconds)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with simulator:
        if on_ready:
            on_ready(simulator.url)
        stop.wait()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], state: State) -> None:
        self.state = state
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Without the base class's look-up of the host's name, which may ask a name server."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def break_connections(self) -> None:
        """Wake up whoever still waits on an open connection."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        logger.debug("connection failed", exc_info=True)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = IDLE_SECONDS
    server: _Server

    def handle_any(self) -> None:
        """Answer one request, whatever its method."""
        connection = Connection(self.connection, not self.close_connection)
        request = self._request()
        try:
            self._answer(request, connection)
        except ClientGoneError:
            connection.keep_alive = False
        if not connection.keep_alive:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = handle_any  # noqa: N815

    def _request(self) -> Request:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        query = parse_qs(parts.query, keep_blank_values=True)
        return Request(new_id("req"), self.command, unquote(parts.path), query, headers, b"")

    def _answer(self, request: Request, connection: Connection) -> None:
        try:
            request.body = self._body(request)
            reply = routes.answer(self.server.state, request, connection)
            if reply:
                connection.send(reply.status, request.reply_headers(reply.content_type), reply.encode())
        except ApiError as error:
            self._refuse(request, connection, error)
        except ClientGoneError:
            raise
        except Exception:
            logger.exception("the simulator itself failed on %s %s", request.method, request.path)
            self._refuse(request, connection, ApiError(500, "Internal server error"))

    def _refuse(self, request: Request, connection: Connection, error: ApiError) -> None:
        if connection.answered:
            connection.drop()
            return
        headers = {**request.reply_headers("application/json"), **error.headers}
        connection.send(error.status, headers, Reply(error.body(request.id)).encode())

    def _body(self, request: Request) -> bytes:
        """The body, read whole even if it is too large: a client that still writes would not read our answer."""
        if "transfer-encoding" in request.headers:
            self.close_connection = True
            raise ApiError(411, "Content-Length header is required")
        text = request.headers.get("content-length", "0")
        if not text.isdecimal():
            self.close_connection = True
            raise invalid("Content-Length: not a number")
        length = int(text)
        limit = MAX_BATCH_BODY if request.path.startswith("/v1/messages/batches") else MAX_BODY
        if length > limit:
            self._skip(length)
            raise ApiError(413, "Request exceeds the maximum size")
        return self.rfile.read(length)

    def _skip(self, length: int) -> None:
        while length > 0 and (data := self.rfile.read(min(length, 1 << 20))):
            length -= len(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """No access log: the bill says what was served."""
