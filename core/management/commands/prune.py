from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.operations.retention import count_old, prune


class Command(BaseCommand):
    help = (
        "Remove what was asked and answered in old calls; who asked, how it ended and what it cost stays. "
        "Also runs daily, where RESULT_RETENTION_DAYS is set."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, help="how old, instead of RESULT_RETENTION_DAYS; at least 1")
        parser.add_argument("--dry-run", action="store_true", help="only say how many calls that would be")

    def handle(self, *_args: Any, **options: Any) -> None:
        days = settings.RESULT_RETENTION_DAYS if options["days"] is None else options["days"]
        if options["days"] is not None and days < 1:
            raise CommandError("--days must be 1 or more.", returncode=2)
        if not days:
            raise CommandError("Contents are kept for ever: set RESULT_RETENTION_DAYS, or say --days.", returncode=2)
        if options["dry_run"]:
            self.stdout.write(f"Calls older than {days} days that would be emptied: {count_old(days)}.")
        else:
            self.stdout.write(f"Emptied calls older than {days} days: {prune(days)}.")
