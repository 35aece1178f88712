from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.reports.rollups import rebuild_rollups, roll_up_all, wrong_rollups


class Command(BaseCommand):
    help = "Takes pending cost records into the sums that reports read. --check compares these with the ledger."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="name the sums that differ; exits with 1 if any do")
        parser.add_argument("--rebuild", action="store_true", help="make all sums anew from the ledger, for repair")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["rebuild"]:
            rebuild_rollups()
            self.stdout.write("All sums were made anew.")
        if options["check"]:
            wrong = wrong_rollups()
            if wrong:
                raise CommandError("These sums differ from the ledger:\n" + "\n".join(wrong))
            self.stdout.write("All sums agree with the ledger.")
        elif not options["rebuild"]:
            self.stdout.write(f"{roll_up_all():,} records rolled up.")
