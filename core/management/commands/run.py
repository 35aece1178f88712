from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from claudeapp.embedded_redis import EmbeddedRedis
from core.claude.errors import ClaudeError
from core.costs import prices
from core.demo.load import DemoError, is_new, load_demo
from core.models import ClaudeModel, User
from core.routing.catalogue import sync_models

HOST = "127.0.0.1"
# One call at a time each; two, so that a long answer does not hold up the next person.
WORKERS = 2


class Command(BaseCommand):
    help = (
        "Run everything on this machine: web, workers, clock; where REDIS_URL and ANTHROPIC_API_KEY are not set, an "
        "embedded Redis-compatible server and the simulator. One Ctrl-C stops all of it."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        refuse_busy_port(settings.PORT, "PORT")
        if settings.SIMULATED:
            refuse_busy_port(_simulator_port(), "SIMULATOR_PORT")
        with _redis():
            call_command("migrate", interactive=False, verbosity=0)
            self._fill_empty_database()
            self._say_where()
            connections.close_all()
            status = _run_processes()
        sys.exit(status)

    def _fill_empty_database(self) -> None:
        """Models and prices where there are none, and for a trial the demo where nobody has begun yet."""
        if not ClaudeModel.objects.exists() and not self._load_catalogue():
            return
        if settings.DEBUG and is_new():
            try:
                load_demo()
            except DemoError as error:
                self.stderr.write(str(error))

    def _load_catalogue(self) -> bool:
        with _simulator_for_a_moment():
            try:
                self.stdout.write(f"{sync_models()}.")
            except ClaudeError as error:
                self.stderr.write(f"Claude did not list its models: {error}\nOnce it does, run: manage.py sync_models")
                return False
        prices.load(prices.pending_changes())
        return True

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


def refuse_busy_port(port: int, setting: str) -> None:
    """Raise CommandError with a sentence that names port and setting where somebody listens already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            hint = f"Stop what uses it, or choose another: {setting}={port + 10} make run"
            raise CommandError(f"Port {port} ({setting}) is in use. {hint}") from error


def _simulator_port() -> int:
    return urlsplit(settings.ANTHROPIC_BASE_URL).port or 80


@contextlib.contextmanager
def _simulator_for_a_moment() -> Iterator[None]:
    """The simulator in this process, until the real one is started beside the others."""
    if not settings.SIMULATED:
        yield
        return
    from core.simulator.server import Simulator

    simulator = Simulator(port=_simulator_port())
    simulator.start()
    try:
        yield
    finally:
        simulator.stop()


@contextlib.contextmanager
def _redis() -> Iterator[None]:
    if not settings.REDIS_EMBEDDED:
        yield
        return
    with EmbeddedRedis(Path(urlsplit(settings.REDIS_URL).path), settings.VAR_DIR / "redis"):
        yield


def _run_processes() -> int:
    """Run the Procfile's processes until one of them ends or somebody stops us; answers the exit status."""
    from honcho.environ import parse_procfile
    from honcho.manager import Manager

    programs = parse_procfile((settings.BASE_DIR / "Procfile").read_text()).processes
    environment = {
        **os.environ,
        "HOST": HOST,
        "PORT": str(settings.PORT),
        "ANTHROPIC_BASE_URL": settings.ANTHROPIC_BASE_URL,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONUNBUFFERED": "1",
    }
    manager = Manager()
    if settings.SIMULATED:
        manager.add_process("simulator", f"exec python manage.py simulator --port {_simulator_port()}", env=environment)
    for name in ("web", "cron"):
        manager.add_process(name, f"exec {programs[name]}", env=environment)
    for number in range(1, WORKERS + 1):
        manager.add_process(f"worker.{number}", f"exec {programs['worker']}", env=environment)
    manager.loop()
    # Stopped by hand is how it is meant to end.
    return 0 if manager.returncode in {130, 143} else int(manager.returncode or 0)
