"""How does a fresh database get its demo data?"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.demo.load import DemoError, InUseError, is_new, load_demo
from core.demo.people import PASSWORD, PEOPLE


class Command(BaseCommand):
    """`manage.py load_demo`: exits with 0 where the demo is loaded or not wanted, with 1 where it cannot be loaded."""

    help = (
        "Loads six prompts, a person for each role and thirty days of past calls, all marked as demo data, into a "
        "database without prompts and calls. Only where DEBUG=true; remove_demo takes all of it away again."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--only-if-new",
            action="store_true",
            help="do nothing where anybody has a login already, so that demo data that was removed does not come back",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["only_if_new"] and not is_new():
            self.stdout.write("This database has been used already, so the demo was not loaded.")
            return
        try:
            loaded = load_demo()
        except InUseError as error:
            self.stdout.write(str(error))
            return
        except DemoError as error:
            raise CommandError(str(error)) from None
        self.stdout.write(self.style.SUCCESS(f"Loaded {_listed(loaded)}."))
        logins = ", ".join(person.username for person in PEOPLE)
        self.stdout.write(f"Sign in with the password «{PASSWORD}» as one of {logins}.")


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in counts.items())
