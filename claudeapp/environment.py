"""Which settings does the environment give, and is each of them sensible?

A missing or senseless value ends the process with one line that names the variable, before anything starts.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.util
import ipaddress
import re
import socket
import sys
import tempfile
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import environ

T = TypeVar("T")

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"
# The kernel refuses longer socket paths (108 bytes on Linux, 104 on macOS).
LONGEST_SOCKET_PATH = 100

env = environ.Env()


def refuse(name: str, problem: str) -> NoReturn:
    """End the process with one line that names the variable `name`."""
    sys.exit(f"claudeapp: {name} {problem}")


def read_dotenv(path: Path) -> None:
    """Read `path` where it exists; what the environment says already wins."""
    if path.exists():
        environ.Env.read_env(str(path))


def text(name: str, default: str = "") -> str:
    """The value of `name` without surrounding spaces; an empty value counts as not set."""
    return str(env.str(name, default="")).strip() or default


def required(name: str, why: str) -> str:
    value = text(name)
    if not value:
        refuse(name, f"is not set: {why}")
    return value


def secret(name: str, shortest: int) -> str:
    """The value of `name`, which nobody can guess; empty where it is not set."""
    value = text(name)
    if value and len(value) < shortest:
        # Even a wrong one is not repeated.
        refuse(name, f"must have at least {shortest} characters, so that nobody guesses it.")
    return value


def whole_number(name: str, default: int, low: int, high: int) -> int:
    raw = text(name, str(default))
    if not (raw.isascii() and raw.isdigit() and low <= int(raw) <= high):
        refuse(name, f"must be a whole number from {low} to {high}, not {raw!r}.")
    return int(raw)


def usd(name: str, default: str) -> Decimal:
    raw = text(name, default)
    parsed = Decimal(raw) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,10})?", raw) else None
    if parsed is None:
        refuse(name, f"must be an amount of USD such as 0.01, not {raw!r}.")
    return parsed


def yes_no(name: str, default: bool) -> bool:
    raw = text(name, "true" if default else "false").lower()
    if raw not in {"true", "false", "1", "0", "yes", "no", "on", "off"}:
        refuse(name, f"must be true or false, not {raw!r}.")
    return raw in {"true", "1", "yes", "on"}


def names(name: str) -> list[str]:
    return [part.strip() for part in text(name).split(",") if part.strip()]


def ip_address(name: str, default: str) -> str:
    raw = text(name, default)
    return _parsed(name, raw, lambda value: str(ipaddress.ip_address(value)), "must be an address such as 127.0.0.1")


def one_of(name: str, default: str, allowed: tuple[str, ...]) -> str:
    raw = text(name, default).upper()
    if raw not in allowed:
        refuse(name, f"must be one of {', '.join(allowed)}, not {raw!r}.")
    return raw


def web_address(name: str, default: str) -> str:
    raw = text(name, default).rstrip("/")
    return _parsed(name, raw, _check_web_address, "must be an address such as https://api.anthropic.com")


def redis_address(name: str, default: str) -> str:
    raw = text(name, default)
    hint = "must be an address such as redis://localhost:6379/0, rediss://… or unix:///path/to/socket"
    return _parsed(name, raw, _check_redis_address, hint)


def time_zone(name: str, default: str) -> str:
    raw = text(name, default)
    return _parsed(name, raw, lambda value: ZoneInfo(value).key, "must be a time zone such as Europe/Berlin")


def database(name: str, default: str) -> dict[str, object]:
    """Django's settings for the database at the address in `name`; SQLite and PostgreSQL are known."""
    raw = text(name, default)
    hint = (
        "must be an address such as postgres://user:password@host:5432/name, or sqlite:////path/to/file.sqlite3 in a "
        "folder that exists"
    )
    # The address may hold a password, so the refusal does not repeat it.
    return _parsed(name, raw, _database_settings, hint, repeat=False)


def mail_server(name: str, default: str) -> dict[str, Any]:
    """Django's settings for the mail server at the address in `name`."""
    hint = "must be an address such as smtp+tls://user:password@host:587, or consolemail:// to only log e-mails"
    return _parsed(name, text(name, default), _mail_settings, hint, repeat=False)


def refuse_busy_port(name: str, host: str, port: int) -> None:
    """End the process with a sentence that names port and variable where somebody listens there already."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As a server would: a port whose last connections are only fading is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            free = port + 10 if port < 65_000 else port - 10
            problem = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
            refuse(name, f"names port {port}, which {problem}. Choose another, for example {name}={free}.")


def make_folder(path: Path) -> None:
    """Make `path` where it can be made: the disk of a function is read-only, and needs no such folder."""
    with contextlib.suppress(OSError):
        path.mkdir(exist_ok=True)


def package_folder(name: str) -> Path:
    """Where an installed package lies; it is not imported for that."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        refuse("PYTHONPATH", f"has no package {name}: install requirements/base.txt.")
    return Path(spec.origin).parent


def default_redis_url() -> str:
    """Where the embedded server listens: a socket under `var/`, or in the temporary folder if that path is too long."""
    path = VAR_DIR / "redis" / "redis.sock"
    if len(str(path)) > LONGEST_SOCKET_PATH:
        digest = hashlib.sha256(str(path).encode()).hexdigest()[:12]
        path = Path(tempfile.gettempdir()) / f"claudeapp-{digest}" / "redis.sock"
    return f"unix://{path}"


def _parsed(name: str, raw: str, parse: Callable[[str], T], hint: str, *, repeat: bool = True) -> T:
    try:
        return parse(raw)
    except (ValueError, KeyError, OSError):
        refuse(name, f"{hint}, not {raw!r}." if repeat else f"{hint}.")


def _check_web_address(raw: str) -> str:
    parts = urlsplit(raw)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(raw)
    # Reading the port is what checks it.
    _ = parts.port
    return raw


def _check_redis_address(raw: str) -> str:
    parts = urlsplit(raw)
    usable = {"redis": parts.hostname, "rediss": parts.hostname, "unix": parts.path}
    if not usable.get(parts.scheme):
        raise ValueError(raw)
    _ = parts.port
    return raw


def _mail_settings(raw: str) -> dict[str, Any]:
    if urlsplit(raw).scheme not in env.EMAIL_SCHEMES:
        raise ValueError(raw)
    return dict(env.email_url_config(raw))


def _database_settings(raw: str) -> dict[str, object]:
    scheme = urlsplit(raw).scheme
    if scheme not in {"sqlite", "postgres", "postgresql", "psql", "pgsql"}:
        raise ValueError(scheme)
    settings: dict[str, object] = dict(env.db_url_config(raw))
    if not settings.get("NAME"):
        raise ValueError(raw)
    if scheme == "sqlite":
        if settings["NAME"] != ":memory:" and not Path(str(settings["NAME"])).parent.is_dir():
            raise ValueError("no such folder")
        return {**settings, "OPTIONS": dict(SQLITE_OPTIONS)}
    options = settings.get("OPTIONS")
    given = dict(options) if isinstance(options, dict) else {}
    own = {
        "ENGINE": "claudeapp.postgresql",
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        # Not where a pooler hands connections around: `core.models.round_trip` keeps them, psycopg itself none.
        "KEEPS_STATEMENTS": str(given.pop("prepare_threshold", "")).lower() not in {"none", "off"},
        "OPTIONS": {"pool": dict(POOL_OPTIONS), **given},
    }
    return {**settings, **own}


# With Django's defaults 19 % of jobs failed with «database is locked» at 16 threads; with these none did at 256.
SQLITE_OPTIONS: dict[str, object] = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA foreign_keys=ON;",
}


def _look_again(pool: Any) -> None:
    """Look for the database once more while somebody waits for a connection.

    By itself the pool looks after 1, 2, 4 … seconds, so that it would find a server that was away for a minute only
    after another one; now it gives up after a second, and begins anew.
    """
    with pool._lock:
        if pool._waiting:
            pool._maybe_grow_pool()


# Connections are given back before Claude is called, so few are needed; times are in seconds.
POOL_OPTIONS: dict[str, object] = {
    "min_size": 0,
    "max_size": 10,
    "timeout": 20,
    "reconnect_timeout": 1,
    "reconnect_failed": _look_again,
}
