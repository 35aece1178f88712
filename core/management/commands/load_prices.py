from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from core.costs import prices


class Command(BaseCommand):
    help = "Fill the price book with what genai-prices, installed here, knows of the models in the catalogue."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only show what would change")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        changes = prices.pending_changes()
        for change in changes:
            self.stdout.write(str(change))
        for sentence in prices.refused_prices():
            self.stderr.write(f"Enter by hand: {sentence}.")
        if not options["dry_run"]:
            prices.load(changes)
        verb = "would change" if options["dry_run"] else "changed"
        self.stdout.write(f"{len(changes)} prices {verb}.")
