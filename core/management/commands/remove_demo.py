"""How does the demo data go again?"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.demo.remove import remove_demo
from core.models import User


class Command(BaseCommand):
    """`manage.py remove_demo`: exits with 1 where the question is not answered with yes."""

    help = (
        "Removes all demo data: its people, prompts, calls and costs. What real calls refer to is kept, out of use, "
        "and named. Nobody can sign in with a demo login afterwards."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--yes", action="store_true", help="do not ask")

    def handle(self, *_args: Any, **options: Any) -> None:
        if not (options["yes"] or _confirmed()):
            raise CommandError("Nothing was removed.")
        removed = remove_demo()
        for sentence in removed.kept:
            self.stdout.write(sentence)
        counts = ", ".join(f"{count:,} {what}" for what, count in removed.items() if count)
        self.stdout.write(self.style.SUCCESS(f"Removed {counts}.") if counts else "There was no demo data to remove.")
        if not User.objects.filter(is_active=True, is_staff=True).exists():
            self.stdout.write("Nobody can sign in to the admin now. Make a login: manage.py createsuperuser")


def _confirmed() -> bool:
    try:
        return input("Remove all demo data, its people included? Type yes: ").strip().lower() == "yes"
    except EOFError:
        return False
