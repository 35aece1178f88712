"""What the SDK makes once for many requests is what it would have made for each."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import anthropic
import httpx2
import pytest

from core.claude import senders
from core.claude.senders import Sender, Senders

TIMEOUT = httpx2.Timeout(5, connect=2)


class Upstream(ThreadingHTTPServer):
    """Keeps what comes, and gives each client a cookie."""

    def __init__(self) -> None:
        self.came: list[tuple[str, dict[str, str], bytes]] = []
        super().__init__(("127.0.0.1", 0), Answers)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answers(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        assert isinstance(self.server, Upstream)
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.came.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        self.send_response(404 if self.path == "/nowhere" else 200)
        self.send_header("set-cookie", "who=you; Path=/")
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def sender(upstream: Upstream) -> Iterator[Sender]:
    with Senders("sk-mine", upstream.url).common as one:
        yield one


def sent(sender: Sender, body: bytes, path: str = "/v1/messages", **headers: str) -> None:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    sender.open(path, body, given, TIMEOUT).read()


def test_a_later_request_has_the_head_that_the_sdk_itself_makes(upstream: Upstream, sender: Sender) -> None:
    for body in (b'{"first": 1}', b'{"the second": "one"}'):
        sent(sender, body, "/v1/messages?beta=true", anthropic_beta="a-beta", anthropic_version="2026-10-21")
    with anthropic.Anthropic(api_key="sk-mine", base_url=upstream.url) as plain:
        plain.post(
            "/v1/messages?beta=true",
            cast_to=httpx2.Response,
            content=b'{"the second": "one"}',
            options={"headers": {"anthropic-beta": "a-beta", "anthropic-version": "2026-10-21"}, "timeout": TIMEOUT},
        )
    _first, second, made_by_itself = upstream.came
    assert second == made_by_itself
    assert second[1]["authorization"] == "Bearer sk-mine"


def test_what_one_request_says_beside_its_body_is_not_said_by_the_next(upstream: Upstream, sender: Sender) -> None:
    sent(sender, b"{}", anthropic_beta="a-beta")
    sent(sender, b"{}", anthropic_beta="another")
    sent(sender, b"{}", "/v1/messages?beta=true")
    assert [(path, headers.get("anthropic-beta")) for path, headers, _ in upstream.came] == [
        ("/v1/messages", "a-beta"),
        ("/v1/messages", "another"),
        ("/v1/messages?beta=true", None),
    ]


def test_only_so_many_heads_are_remembered(upstream: Upstream, sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(senders, "MOST_HEADS", 2)
    for number in range(5):
        sent(sender, b"{}", anthropic_beta=f"beta-{number}")
    assert len(sender._heads) <= 2
    assert [headers["anthropic-beta"] for _, headers, _ in upstream.came] == [f"beta-{number}" for number in range(5)]


def test_a_cookie_of_one_answer_is_not_sent_with_the_next_request(upstream: Upstream, sender: Sender) -> None:
    sent(sender, b"{}")
    sent(sender, b"{}")
    assert all("cookie" not in headers for _, headers, _ in upstream.came)


def test_each_request_has_a_client_and_a_client_is_used_again_before_another_is_made(upstream: Upstream) -> None:
    several = Senders("sk-mine", upstream.url)
    with several.one() as first, several.one() as second, first, second:
        assert first is not second
        for sender in (first, second):
            sent(sender, b"{}", anthropic_beta="a-beta")
    assert first._heads is second._heads, "what the SDK made for one is known to all"
    assert len(first._heads) == 1

    for _ in range(3):
        with several.one() as again:
            assert again is first, "what was used last; its connection still stands"


def test_a_client_whose_request_broke_off_is_not_used_again(upstream: Upstream) -> None:
    several = Senders("sk-mine", upstream.url)

    def ask(path: str, fault: Exception | None = None) -> Iterator[Sender]:
        with several.one() as sender:
            yield sender
            sent(sender, b"{}", path)
            if fault is not None:
                raise fault

    broken = ask("/v1/messages", OSError("somebody pulled the cable"))
    used = [next(broken)]
    with pytest.raises(OSError, match="cable"):
        next(broken)
    refused = ask("/nowhere")
    used.append(next(refused))
    with pytest.raises(anthropic.NotFoundError):
        next(refused)
    with several.one() as again, again:
        used.append(again)
    assert used[0] is not used[1], "its connection may be in any state"
    assert used[1] is used[2], "a refusal is an answer"


def test_what_has_rested_for_long_is_let_go(upstream: Upstream, monkeypatch: pytest.MonkeyPatch) -> None:
    several = Senders("sk-mine", upstream.url)
    with several.one() as first, several.one() as second:
        for sender in (first, second):
            sent(sender, b"{}")
    monkeypatch.setattr(senders, "KEEP_ALIVE", -1.0)
    with several.one() as again:
        assert again is first
    assert second.is_closed()
    first.close()


def test_what_is_asked_now_and_then_does_not_wait_for_one_another(upstream: Upstream) -> None:
    with Senders("sk-mine", upstream.url).common as common:
        held = [common.open("/v1/messages", b"{}", {}, TIMEOUT) for _ in range(3)]
        for response in held:
            response.close()
    assert len(upstream.came) == 3
