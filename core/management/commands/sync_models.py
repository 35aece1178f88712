from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.claude.errors import ClaudeError
from core.routing.catalogue import sync_models


class Command(BaseCommand):
    help = "Ask the Claude API which models there are, and bring the catalogue up to date."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        try:
            self.stdout.write(f"{sync_models()}.")
        except ClaudeError as error:
            raise CommandError(f"Claude said no: {error}") from error
