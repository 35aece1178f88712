"""What do all processes write into the log, and in which form?"""

from __future__ import annotations

from typing import Any

FORMS = ("LINE", "JSON")


def logging_for(level: str, form: str) -> dict[str, Any]:
    """The settings of Python's logging for one of our levels, and for lines or JSON.

    Neither what people and programs ask nor keys are ever in a line of ours. Other packages tell both at DEBUG (Django
    its statements with their values, the SDK its requests), so theirs begin at INFO.
    """
    others = "INFO" if level == "DEBUG" else level
    console = {"handlers": ["console"], "level": others, "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "naming": {"()": "core.hints.logs.Naming"},
            "unquoting": {"()": "core.hints.logs.Unquoting"},
        },
        "formatters": {"LINE": {"()": "core.hints.logs.Lines"}, "JSON": {"()": "core.hints.logs.Json"}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": form, "filters": ["naming"]}},
        "root": {"handlers": ["console"], "level": others},
        "loggers": {
            "core": {"level": level},
            "claudeapp": {"level": level},
            "django": console,
            # Those two would otherwise have handlers of their own.
            "django.server": console,
            "gunicorn.error": {**console, "filters": ["unquoting"]},
            # Requests to Claude are logged by this project with the call's id; these would repeat them.
            "httpx2": {"level": "WARNING"},
            "anthropic": {"level": "WARNING"},
            # RQ tells of each job in four lines; the jobs that matter tell of themselves in one.
            "rq": {"level": "INFO" if level == "DEBUG" else "WARNING"},
        },
    }
