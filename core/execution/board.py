"""How is each model's breaker, as far as this process knows? All processes share it in Redis, while there is one."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import redis

from core.hints.connection import quick_redis
from core.hints.remembered import Remembered

log = logging.getLogger(__name__)

T = TypeVar("T")

KEY = "claudeapp:breakers"
# Seconds for which what was read counts: all calls of a process cost one question in that time.
FRESH = 0.25
# Seconds in which an absent Redis is not asked again.
AWAY = 5.0
# Seconds after which nobody remembers a model that nobody asks any more.
KEPT_FOR = 86_400


@dataclass(frozen=True)
class Standing:
    """One model's: `opened_at` in seconds since 1970."""

    state: str = "closed"
    failures: int = 0
    opened_at: float | None = None


class Board:
    """The standings of all models. Without Redis each process has its own; it never raises."""

    def __init__(self) -> None:
        self._own: dict[str, Standing] = {}
        self._probes: dict[str, float] = {}
        self._changing = threading.Lock()
        self._away_until = 0.0
        self._read = Remembered(self._read_all, FRESH)

    def all(self) -> dict[str, Standing]:
        return self._read.get()

    def of(self, model: str) -> Standing:
        return self._read.get().get(model, Standing())

    def change(self, model: str, **values: Any) -> None:
        self._change_own(model, **values)
        fields = {f"{name} {model}": "" if value is None else str(value) for name, value in values.items()}
        self._ask(lambda server: self._write(server, fields))

    def count_failure(self, model: str) -> None:
        self._change_own(model, failures=self.of(model).failures + 1)
        counted = self._ask(lambda server: int(str(server.hincrby(KEY, f"failures {model}", 1))))
        if counted is not None:
            self._change_own(model, failures=counted)

    def take_probe(self, model: str, seconds: float) -> bool:
        """Whether this process may try a model that failed; the only one for so many seconds."""
        taken = self._ask(
            lambda server: bool(server.set(f"{KEY}:probe:{model}", "1", nx=True, px=max(1, int(seconds * 1000))))
        )
        if taken is not None:
            return taken
        with self._changing:
            free = self._probes.get(model, 0.0) <= time.monotonic()
            if free:
                self._probes[model] = time.monotonic() + seconds
            return free

    def probed(self, model: str) -> bool:
        """Whether somebody is trying a model that failed, as far as that can be known."""
        found = self._ask(lambda server: bool(server.exists(f"{KEY}:probe:{model}")))
        return self._probes.get(model, 0.0) > time.monotonic() if found is None else found

    def give_probe_back(self, model: str) -> None:
        with self._changing:
            self._probes.pop(model, None)
        self._ask(lambda server: server.delete(f"{KEY}:probe:{model}"))

    def forget(self) -> None:
        """Read anew what is shared, and know nothing else."""
        with self._changing:
            self._own = {}
            self._probes = {}
            self._away_until = 0.0
        self._read.forget()

    def _change_own(self, model: str, **values: Any) -> None:
        with self._changing:
            self._own = {**self._own, model: dataclasses.replace(self._own.get(model, Standing()), **values)}
        self._read.put(self._own)

    def _read_all(self) -> dict[str, Standing]:
        fields = self._ask(_fields_at)
        if fields is not None:
            with self._changing:
                self._own = _standings(fields)
        return self._own

    def _write(self, server: redis.Redis, fields: Any) -> None:
        with server.pipeline(transaction=False) as pipe:
            pipe.hset(KEY, mapping=fields)
            pipe.expire(KEY, KEPT_FOR)
            pipe.execute()

    def _ask(self, step: Callable[[redis.Redis], T]) -> T | None:
        """What the server answers; None while it is away."""
        if time.monotonic() < self._away_until:
            return None
        try:
            return step(quick_redis())
        except redis.RedisError as error:
            self._away_until = time.monotonic() + AWAY
            log.warning("each process has breakers of its own: %s", error)
            return None


def _fields_at(server: redis.Redis) -> dict[str, str]:
    fields: Any = server.hgetall(KEY)
    return dict(fields)


def _standings(fields: dict[str, str]) -> dict[str, Standing]:
    found: dict[str, dict[str, Any]] = {}
    for field, value in fields.items():
        name, _, model = field.partition(" ")
        if name in _READ:
            found.setdefault(model, {})[name] = _READ[name](value)
    return {model: Standing(**values) for model, values in found.items()}


_READ: dict[str, Callable[[str], Any]] = {
    "state": str,
    "failures": int,
    "opened_at": lambda value: float(value) if value else None,
}
