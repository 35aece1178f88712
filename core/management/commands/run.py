from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection, connections
from redis.exceptions import RedisError

from claudeapp import environment
from claudeapp.embedded_redis import EmbeddedRedis
from core.claude.errors import ClaudeError
from core.costs import prices
from core.demo.load import DemoError, is_new, load_demo
from core.hints.connection import quick_redis
from core.models import ClaudeModel, User
from core.routing.catalogue import sync_models
from core.routing.ready import load_ready_made

HOST = "127.0.0.1"
# Seconds.
SIMULATOR_START = 60.0
STOP_PATIENCE = 15


class Command(BaseCommand):
    help = (
        "Run everything on this machine: web, workers, clock; where REDIS_URL and ANTHROPIC_API_KEY are not set, an "
        "embedded Redis-compatible server and the simulator. One Ctrl-C stops all of it."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        environment.refuse_busy_port("PORT", HOST, settings.PORT)
        if settings.SIMULATED:
            environment.refuse_busy_port("SIMULATOR_PORT", HOST, _simulator_port())
        _refuse_absent_database()
        with _redis(), _simulator():
            _refuse_absent_redis()
            call_command("migrate", interactive=False, verbosity=0)
            if not settings.DEBUG:
                call_command("collectstatic", interactive=False, verbosity=0)
            self._fill_empty_database()
            self._say_where()
            connections.close_all()
            status = _run_processes()
        sys.exit(status)

    def _fill_empty_database(self) -> None:
        """Models and prices where there are none, and with them, for a trial that nobody has begun yet, the demo.

        Only then: a demo that was removed does not come back.
        """
        if ClaudeModel.objects.exists():
            load_ready_made()
            return
        try:
            self.stdout.write(f"{sync_models()}.")
        except ClaudeError as error:
            self.stderr.write(f"Claude did not list its models: {error}\nOnce it does, run: manage.py sync_models")
            return
        prices.load(prices.pending_changes())
        load_ready_made()
        if settings.DEBUG and is_new():
            try:
                load_demo()
            except DemoError as error:
                self.stderr.write(str(error))

    def _say_where(self) -> None:
        lines = [
            "",
            f"  claudeapp:  http://{HOST}:{settings.PORT}/",
            f"  its admin:  http://{HOST}:{settings.PORT}/admin/",
        ]
        people = User.objects.filter(demo=True, is_active=True).order_by("pk").values_list("username", flat=True)
        if settings.DEBUG and people:
            lines.append(f"  sign in as: {', '.join(people)}; the password is demo")
        if settings.SIMULATED:
            lines.append("  The simulator stands in for Claude: answers are made up, nothing is billed.")
            lines.append("  Set ANTHROPIC_API_KEY in .env for the real one.")
        self.stdout.write("\n".join([*lines, "  Ctrl-C stops everything.", ""]))
        self.stdout.flush()


def _refuse_absent_database() -> None:
    # Without the pool, which would go on trying for a while.
    probe = connection.copy()
    probe.settings_dict["OPTIONS"] = {k: v for k, v in probe.settings_dict["OPTIONS"].items() if k != "pool"}
    try:
        probe.ensure_connection()
    except DatabaseError as error:
        # The address may hold a password, so it is not repeated.
        environment.refuse("DATABASE_URL", f"names a database that cannot be reached: {str(error).splitlines()[0]}")
    finally:
        probe.close()


def _refuse_absent_redis() -> None:
    try:
        quick_redis().ping()
    except RedisError as error:
        environment.refuse("REDIS_URL", f"names a server that cannot be reached: {error}")


def _simulator_port() -> int:
    return urlsplit(settings.ANTHROPIC_BASE_URL).port or 80


@contextlib.contextmanager
def _simulator() -> Iterator[None]:
    """The simulator, listening before anybody calls it, and until the last who does has stopped."""
    if not settings.SIMULATED:
        yield
        return
    keeper = [sys.executable, "-m", "claudeapp.kept_running"]
    command = [*keeper, sys.executable, "manage.py", "simulator", "--port", str(_simulator_port())]
    # A session of its own, so that Ctrl-C in the terminal does not stop it before the workers.
    process = subprocess.Popen(command, cwd=settings.BASE_DIR, start_new_session=True, stdout=subprocess.DEVNULL)  # noqa: S603
    try:
        _wait_for(process)
        yield
    finally:
        # Both of them: the keeper does not pass it on.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _wait_for(process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + SIMULATOR_START
    while True:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, _simulator_port())) == 0:
                return
        if process.poll() is not None or time.monotonic() > deadline:
            raise CommandError("The simulator did not start.")
        time.sleep(0.05)


@contextlib.contextmanager
def _redis() -> Iterator[None]:
    if not settings.REDIS_EMBEDDED:
        yield
        return
    with EmbeddedRedis(Path(urlsplit(settings.REDIS_URL).path), settings.VAR_DIR / "redis"):
        yield


def _run_processes() -> int:
    """Run the Procfile's processes until somebody stops us; answers the exit status."""
    from honcho import manager as honcho_manager
    from honcho.environ import parse_procfile

    programs = parse_procfile((settings.BASE_DIR / "Procfile").read_text()).processes
    # Seconds that a call at work has to end after Ctrl-C.
    honcho_manager.KILL_WAIT = STOP_PATIENCE
    manager = honcho_manager.Manager()
    for name in ("web", "cron", "housekeeper", "worker"):
        command = f"exec {sys.executable} -m claudeapp.kept_running {programs[name]}"
        manager.add_process(name, command, env=_environment())
    manager.loop()
    # Stopped by hand is how it is meant to end.
    return 0 if manager.returncode in {130, 143} else int(manager.returncode or 0)


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "HOST": HOST,
        "PORT": str(settings.PORT),
        "ANTHROPIC_BASE_URL": settings.ANTHROPIC_BASE_URL,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
        # Less than our own patience, so that what has not ended by then is handed back and not killed.
        "SHUTDOWN_GRACE": str(min(settings.SHUTDOWN_GRACE, STOP_PATIENCE - 5)),
    }
