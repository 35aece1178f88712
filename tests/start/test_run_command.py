from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
from django.core.management import call_command
from pytest_django import Settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from claudeapp.embedded_redis import EmbeddedRedis


@pytest.mark.parametrize("setting", ["PORT", "SIMULATOR_PORT"])
def test_a_busy_port_is_named_with_its_setting(settings: Settings, setting: str) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        if setting == "PORT":
            settings.PORT = port
        else:
            settings.ANTHROPIC_BASE_URL = f"http://127.0.0.1:{port}"

        with pytest.raises(
            SystemExit, match=rf"claudeapp: {setting} names port {port}, which is in use\. .*{setting}="
        ):
            call_command("run")


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    return tmp_path / "redis.sock"


def ping(path: Path) -> bool:
    client = redis.Redis(unix_socket_path=str(path), retry=Retry(NoBackoff(), 0))
    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False
    finally:
        client.close()


def test_the_embedded_server_lives_as_long_as_its_owner(socket_path: Path, tmp_path: Path) -> None:
    with EmbeddedRedis(socket_path, tmp_path / "data"):
        assert ping(socket_path)
        assert socket_path.stat().st_mode & 0o077 == 0, "other users of the machine have no access"

    assert not ping(socket_path)


def test_the_embedded_server_keeps_its_data(socket_path: Path, tmp_path: Path) -> None:
    for expected in (None, b"kept"):
        with EmbeddedRedis(socket_path, tmp_path / "data"):
            client = redis.Redis(unix_socket_path=str(socket_path))
            assert client.get("word") == expected
            client.set("word", "kept")
            client.close()


def test_the_embedded_server_is_started_again_with_its_data_when_it_ends(
    socket_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    client = redis.Redis(unix_socket_path=str(socket_path))
    with EmbeddedRedis(socket_path, tmp_path / "data"):
        client.set("word", "kept")
        os.kill(int(client.info("server")["process_id"]), signal.SIGKILL)
        client.close()

        deadline = time.monotonic() + 20
        while not ping(socket_path):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert client.get("word") == b"kept"
        assert capsys.readouterr().out == "The embedded Redis ended; it is started again.\n"
        client.close()

    assert not ping(socket_path), "and it is stopped at last"


def test_a_second_user_shares_the_server_and_leaves_it_running(socket_path: Path, tmp_path: Path) -> None:
    with EmbeddedRedis(socket_path, tmp_path / "data"):
        with EmbeddedRedis(socket_path, tmp_path / "data"):
            assert ping(socket_path)
        assert ping(socket_path)


def test_a_server_that_outlived_its_owner_is_taken_over_and_stopped(socket_path: Path, tmp_path: Path) -> None:
    orphaned = EmbeddedRedis(socket_path, tmp_path / "data")
    orphaned.__enter__()
    assert orphaned._lock is not None
    # What is left of a killed owner: a server, and a lock that the kernel let go.
    orphaned._over.set()
    orphaned._lock.close()

    with EmbeddedRedis(socket_path, tmp_path / "data"):
        assert ping(socket_path)

    assert not ping(socket_path)


def test_what_ends_by_mistake_is_started_again_less_and_less_often() -> None:
    command = [sys.executable, "-m", "claudeapp.kept_running", sys.executable, "-c", "raise SystemExit(3)"]
    keeper = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert keeper.stderr is not None
        said = [keeper.stderr.readline(), keeper.stderr.readline()]
    finally:
        keeper.terminate()
        keeper.communicate(timeout=10)

    assert keeper.returncode == 3
    assert "ended with status 3; it is started again in 1 s" in said[0]
    assert "in 2 s" in said[1]
