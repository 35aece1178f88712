#!/usr/bin/env python
"""Django's command line for claudeapp."""

import os
import sys


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "claudeapp.settings")
    try:
        from django.core.management import execute_from_command_line
    except ImportError:
        sys.exit(
            "claudeapp: Django is not installed here. `make run` and `make test` install what is needed into .venv."
        )
    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
