"""How is the offline Claude API started from the command line?"""

from __future__ import annotations

import errno
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser


class Command(BaseCommand):
    """`manage.py simulator`: runs until SIGTERM or Ctrl-C."""

    help = "Runs an offline stand-in for the Claude API over HTTP, for the demo and the tests."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Flags; paces are in tokens per second, 60 words a second being about 80 tokens."""
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
        port = getattr(settings, "SIMULATOR_PORT", 8001)
        parser.add_argument("--port", type=int, default=port, help="port to listen on (default: SIMULATOR_PORT)")
        parser.add_argument(
            "--pace", type=float, default=80.0, help="tokens per second of an answer, 0 for at once (default: 80)"
        )
        parser.add_argument(
            "--batch-seconds", type=float, default=20.0, help="seconds until a batch has ended (default: 20)"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        """Serve; a busy port ends the command with one sentence and status 1."""
        from core.simulator import serve

        host, port = options["host"], options["port"]
        try:
            serve(host, port, pace=options["pace"], batch_seconds=options["batch_seconds"], on_ready=self._say)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise CommandError(f"The simulator cannot listen on {host}:{port}: {error.strerror}.") from None
            raise CommandError(
                f"Port {port} is already in use; stop whatever listens there or set SIMULATOR_PORT to another port."
            ) from None

    def _say(self, url: str) -> None:
        self.stdout.write(f"Simulator of the Claude API on {url} (no real model, no charge)")
        self.stdout.flush()
