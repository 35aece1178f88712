"""How does the demo get into a database?"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from core.demo import endings
from core.demo.history import History
from core.demo.people import PEOPLE, create_people
from core.demo.programs import create_chains, create_keys
from core.demo.prompts import DRAFTS
from core.demo.publishing import Dates, Published, create_system_prompts, publish
from core.models import Call, ClaudeModel, CostRecord, Key, Price, Prompt, SystemPrompt, User
from core.reports.rollups import rebuild_rollups

# Days ago; the history of calls begins when all is in place.
JOINED, TRIED, PUBLISHED, IMPROVED = 40, 36, 35, 14


class DemoError(Exception):
    """The demo cannot be loaded; the message says why, for whoever wanted it."""


class InUseError(DemoError):
    """The database holds work already, so that a demo has no place in it."""


def load_demo(now: dt.datetime | None = None) -> dict[str, int]:
    """Load prompts, people and thirty days of calls that end at `now`; answers how many of each.

    Raises `InUseError` where there are prompts or calls already, and `DemoError` where `DEBUG` is off, a demo person's
    login is taken, or models and prices have not been loaded.
    """
    if not settings.DEBUG:
        raise DemoError("The demo's password is known to everybody, so it is loaded only where DEBUG=true.")
    with transaction.atomic():
        _refuse_in_use()
        return _load(now or timezone.now())


def is_new() -> bool:
    """Whether nobody has begun to use this database: no login, no prompt, no call."""
    return not any(model.objects.exists() for model in (User, SystemPrompt, Prompt, Call))


def _refuse_in_use() -> None:
    if any(model.objects.exists() for model in (SystemPrompt, Prompt, Call)):
        raise InUseError("This database holds prompts or calls already, so the demo was not loaded.")
    taken = User.objects.filter(username__in=[person.username for person in PEOPLE]).order_by("username")
    if taken:
        names = ", ".join(user.username for user in taken)
        raise DemoError(f"The demo needs logins that are taken already: {names}.")


def _load(now: dt.datetime) -> dict[str, int]:
    joined, tried, published, improved = (_morning(now, days) for days in (JOINED, TRIED, PUBLISHED, IMPROVED))
    models = _models()
    people = create_people(joined)
    systems = create_system_prompts(people["editor"], tried)
    dates = Dates(tried, published, improved)
    made = [publish(draft, models[draft.line], systems.get(draft.system), people, dates) for draft in DRAFTS]
    chains = create_chains(models)
    keys = create_keys(people, chains[0], published, now)
    history = _history(made, people, keys, now, tried)
    Call.objects.bulk_create(history.calls)
    _note_use(keys, history.calls)
    CostRecord.objects.bulk_create(history.records)
    rebuild_rollups()
    return {
        "people": len(people),
        "system prompts": len(systems),
        "prompts": len(made),
        "keys": len(keys),
        "fallback chains": len(chains),
        "calls": len(history.calls),
        "cost records": len(history.records),
    }


def _morning(now: dt.datetime, days_ago: int) -> dt.datetime:
    """Ten o'clock in the installation's time zone, so many days ago."""
    day = timezone.localtime(now).date() - dt.timedelta(days=days_ago)
    return timezone.make_aware(dt.datetime.combine(day, dt.time(10)))


def _history(
    made: list[Published], people: dict[str, User], keys: list[Key], now: dt.datetime, tried: dt.datetime
) -> History:
    programs = {keys[0].user_id: keys[0]}
    history = History(people, {item.prompt.slug: item.versions for item in made}, programs, now)
    for item in made:
        if item.tried:
            history.add_trial(item.tried, people["editor"], tried, endings.ask_a_retired_model)
    return history


def _note_use(keys: list[Key], calls: list[Call]) -> None:
    for key in keys:
        last = max((call.created_at for call in calls if call.key_id == key.pk), default=None)
        Key.objects.filter(pk=key.pk).update(last_used_at=last)


def _models() -> dict[str, ClaudeModel]:
    """The newest model of each line that the drafts name. Raises `DemoError` where there is none, or no price."""
    models = {line: _newest(line) for line in sorted({draft.line for draft in DRAFTS})}
    if not Price.objects.filter(model__in=models.values()).exists():
        raise DemoError("The price book has no price for the demo's models. Run `manage.py load_prices` first.")
    return models


def _newest(line: str) -> ClaudeModel:
    active = ClaudeModel.objects.filter(line=line, lifecycle=ClaudeModel.Lifecycle.ACTIVE)
    newest = active.order_by(F("released_at").desc(nulls_last=True), "pk").first()
    if newest is None:
        raise DemoError(f"The catalogue has no active model of the line {line}. Run `manage.py sync_models` first.")
    return newest
