"""The project's own settings, with one view at one address."""

from claudeapp.settings import *  # noqa: F403 - all of them

ROOT_URLCONF = "tests.bench.gateway.bare"
