"""Do clients that are slow, silent or gone leave the threads to the others?"""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import httpx2
import pytest

from core.models import Call
from core.simulator.server import Simulator
from tests.gateway.conftest import Program, Server, question, served, until

pytestmark = pytest.mark.django_db(transaction=True)

# Seconds; and far more than a slow client may hold a thread with a patience of one second.
SOON = 6.0


@pytest.fixture(scope="module")
def two_threads(simulator: Simulator, django_db_setup: None) -> Iterator[Server]:
    with served("api", CLIENT_PATIENCE="1", WEB_THREADS="2") as server:
        yield server


@pytest.fixture(scope="module")
def loop(simulator: Simulator, django_db_setup: None) -> Iterator[Server]:
    with served("web", CLIENT_PATIENCE="1") as server:
        yield server


@contextlib.contextmanager
def connected(server: Server, sent: bytes) -> Iterator[socket.socket]:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(sent)
        client.settimeout(SOON)
        yield client


def closed_while_trickling(client: socket.socket) -> bytes:
    """Send a byte now and then until the server answers or closes."""
    until = time.monotonic() + SOON
    client.settimeout(0.2)
    while time.monotonic() < until:
        try:
            with contextlib.suppress(BrokenPipeError):
                client.sendall(b"x")
            return client.recv(4096)
        except TimeoutError:
            continue
        except ConnectionResetError:
            return b""
    raise AssertionError("the server still waits")


def test_headers_that_trickle_hold_no_thread(two_threads: Server) -> None:
    begun = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: "
    with connected(two_threads, begun) as one, connected(two_threads, begun) as two:
        assert closed_while_trickling(one) == closed_while_trickling(two) == b""
        assert httpx2.get(f"{two_threads.url}/healthz", timeout=SOON).status_code == 200


@pytest.mark.parametrize("name", ["two_threads", "loop"])
def test_a_body_that_trickles_holds_no_thread(request: pytest.FixtureRequest, program: Program, name: str) -> None:
    server: Server = request.getfixturevalue(name)
    key = f"x-api-key: {program.secret}"
    head = f"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\n{key}\r\nContent-Length: 9000\r\n\r\n{{"
    with connected(server, head.encode()) as one, connected(server, head.encode()) as two:
        assert b"408" in closed_while_trickling(one)
        assert b"408" in closed_while_trickling(two)
        assert httpx2.get(f"{server.url}/healthz", timeout=SOON).status_code == 200
    assert not Call.objects.exists()


@pytest.mark.parametrize("name", ["two_threads", "loop"])
def test_what_cannot_be_read_of_a_request_is_not_written_down(
    request: pytest.FixtureRequest, program: Program, name: str
) -> None:
    """A program that counts its body's bytes wrong, or sends in chunks what is in none, may do so with every prompt."""
    server: Server = request.getfixturevalue(name)
    secret = "wombat-lagoon-seventeen"
    head = f"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-api-key: {program.secret}\r\n"
    for sent in (
        f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nAuthorization Bearer {secret}\r\n\r\n",
        f'{head}Content-Length: 9\r\n\r\n{{"text": {secret}\r\n\r\n',
        f'{head}Transfer-Encoding: chunked\r\n\r\n{{"text": {secret}\r\n\r\n',
        f"POST /p/ HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\ntext={secret}\r\n\r\n",
    ):
        with connected(server, sent.encode()) as client:
            assert client.recv(4096).startswith(b"HTTP/1.1 40")
            # Until it has dealt with what follows, too.
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                while client.recv(4096):
                    pass
    log = server.log.read_text()
    assert secret not in log
    assert program.secret not in log
    assert "Socket error" not in log


def test_who_stops_reading_holds_no_thread(two_threads: Server, simulated: Simulator, program: Program) -> None:
    text = "[[simulate: long tokens=60000]] Tell me everything."
    body = httpx2.Request("POST", f"{two_threads.url}/v1/messages", json=question(text, max_tokens=64000)).read()
    head = (
        f"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nx-api-key: {program.secret}\r\n"
        f"anthropic-version: 2026-10-21\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            silent = socket.socket()
            silent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            host, port = two_threads.url.removeprefix("http://").split(":")
            silent.connect((host, int(port)))
            stack.enter_context(silent)
            silent.sendall(head.encode() + body)
        until(lambda: Call.objects.filter(status=Call.Status.SUCCEEDED).count() == 2, "both answers")
        assert httpx2.get(f"{two_threads.url}/healthz", timeout=SOON).status_code == 200
