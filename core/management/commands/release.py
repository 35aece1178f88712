from __future__ import annotations

from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from core.claude.errors import ClaudeError
from core.costs import prices
from core.routing.catalogue import sync_models
from core.routing.ready import load_ready_made


class Command(BaseCommand):
    help = "Bring a new release into force: tables, static files, models and prices. Run it once, before the processes."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        call_command("migrate", interactive=False, verbosity=1)
        call_command("collectstatic", interactive=False, verbosity=0)
        try:
            self.stdout.write(f"{sync_models()}.")
        except ClaudeError as error:
            raise CommandError(f"The tables are ready, but Claude did not list its models: {error}") from error
        changes = prices.pending_changes()
        prices.load(changes)
        self.stdout.write(f"{len(changes)} prices changed.")
        if load_ready_made():
            self.stdout.write("Aliases, classifiers and routes that come ready were made.")
