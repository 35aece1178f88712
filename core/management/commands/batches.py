from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from core.batches.decide import abandon, look_again, send_again
from core.bulk.clock import tend
from core.models import Batch, BatchPart
from core.templatetags.admin_words import moment

DECISIONS: Mapping[str, Callable[[BatchPart], bool]] = {
    "look-again": look_again,
    "send-again": send_again,
    "give-up": abandon,
}


class Command(BaseCommand):
    help = (
        "List the batches that are under way and what is wrong with them; do now what is due; or decide about a part "
        "of which nobody knows whether Claude has it or what became of it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tend", action="store_true", help="do what is due, as the clock lets the workers do")
        parser.add_argument(
            "--decide",
            nargs=2,
            metavar=("PART", "DECISION"),
            help="PART as listed; DECISION: look-again, send-again (may be paid twice), give-up (cost unknown)",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        if options["decide"]:
            self._decide(*options["decide"])
        if options["tend"]:
            self.stdout.write(tend())
        for batch in Batch.objects.open().order_by("pk"):
            self._show(batch)

    def _decide(self, marker: str, decision: str) -> None:
        part = BatchPart.objects.filter(marker=marker).first()
        if part is None or decision not in DECISIONS:
            raise CommandError(f"There is no part {marker}, or no decision {decision}: see --help.")
        if not DECISIONS[decision](part):
            raise CommandError("Nothing was done: this part does not wait for that decision.")

    def _show(self, batch: Batch) -> None:
        self.stdout.write(f"{batch.public_id}: {batch.get_status_display()}, {batch.done} of {batch.rows} rows done")
        for part in batch.parts.exclude(state=BatchPart.State.DONE):
            said = f"; {part.problem}" if part.problem else ""
            at_claude = f", {part.provider_id}" if part.provider_id else ""
            held = f", held by Claude's spend limit until {moment(part.next_at)}" if part.held else ""
            self.stdout.write(f"  part {part.marker}: {part.get_state_display()}{at_claude}{held}{said}")
