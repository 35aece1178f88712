"""What was asked in the last thirty days, by whom and when? Made up, the same each time for the same day."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.utils import timezone

from core.demo import endings
from core.demo.bookkeeping import PriceBook
from core.demo.examples import EXAMPLES, WORDS
from core.models import Call, CostRecord, Key, PromptVersion, User
from core.prompts.rendering import render, specs
from core.prompts.templates import fill

DAYS = 30
SEED = 5
# Calls on a usual day, Monday to Sunday.
RHYTHM = (27, 24, 23, 25, 18, 4, 2)
# How much of the day falls into each hour, from eight in the morning.
FIRST_HOUR = 8
HOURS = (3, 7, 11, 10, 5, 6, 10, 9, 6, 3, 1)
# Who asks for what, and how often: prompt → its weight, its people with their weights. None is not signed in.
HABITS: dict[str, tuple[int, dict[str | None, int]]] = {
    "answer-a-customer": (30, {"member": 6, "amara": 8, "tomasz": 3, "publisher": 1}),
    "translate": (24, {None: 5, "member": 3, "mei": 6, "tomasz": 4, "editor": 1}),
    "summarise-a-document": (18, {"administrator": 3, "publisher": 3, "mei": 2, "finance": 2, "member": 2}),
    "extract-an-invoice": (14, {"finance": 9, "administrator": 1}),
    "explain-code": (9, {"developer": 6, "editor": 2, "tomasz": 1}),
    "sort-feedback": (7, {"amara": 3, "publisher": 2, "editor": 2}),
}


@dataclass(frozen=True)
class Incident:
    """A call that did not end as usual, so many days ago."""

    days_ago: int
    slug: str
    username: str | None
    end: endings.End


INCIDENTS = (
    Incident(26, "answer-a-customer", "amara", endings.lose_the_first_worker),
    Incident(21, "translate", None, endings.be_canceled),
    Incident(19, "answer-a-customer", "amara", endings.stay_overloaded),
    Incident(19, "summarise-a-document", "mei", endings.stay_overloaded),
    Incident(16, "explain-code", "developer", endings.run_out_of_tokens),
    Incident(13, "summarise-a-document", "administrator", endings.be_canceled),
    Incident(9, "sort-feedback", "publisher", endings.stay_limited),
    Incident(6, "answer-a-customer", "tomasz", endings.be_refused),
    Incident(4, "explain-code", "editor", endings.lose_the_worker),
    Incident(2, "answer-a-customer", "member", endings.be_canceled),
)


class History:
    """The calls and cost records of a made-up past, not saved yet.

    `versions` maps each prompt's slug to its published versions, the oldest first; who has a key in `keys` lets a
    program ask.
    """

    def __init__(
        self,
        people: Mapping[str, User],
        versions: Mapping[str, list[PromptVersion]],
        keys: Mapping[int, Key],
        now: dt.datetime,
    ) -> None:
        self.calls: list[Call] = []
        self.records: list[CostRecord] = []
        self._people = people
        self._versions = versions
        self._keys = keys
        self._now = now
        self._book = PriceBook()
        for days_ago in range(DAYS - 1, -1, -1):
            self._live_through(days_ago)

    def add_trial(self, version: PromptVersion, by: User, when: dt.datetime, end: endings.End) -> None:
        """A draft that was tried before it was published."""
        luck = random.Random(f"{SEED} trial {version.prompt.slug}")
        self._add(version, by, when, end, luck, Call.Door.TRY)

    def _live_through(self, days_ago: int) -> None:
        luck = random.Random(f"{SEED} {days_ago}")
        day = timezone.localtime(self._now).date() - dt.timedelta(days=days_ago)
        for slug, username in _usual_calls(day, days_ago, luck):
            self._ask(slug, username, _moment(day, luck), endings.succeed, luck)
        for incident in INCIDENTS:
            if incident.days_ago == days_ago:
                self._ask(incident.slug, incident.username, _moment(day, luck), incident.end, luck)

    def _ask(self, slug: str, username: str | None, when: dt.datetime, end: endings.End, luck: random.Random) -> None:
        user = self._people[username] if username else None
        # Each call has luck of its own, so that the hour of loading, which cuts today short, changes no other call.
        own = random.Random(luck.getrandbits(64))
        if when < self._now - dt.timedelta(minutes=5):
            door = Call.Door.API if user and user.pk in self._keys else Call.Door.FORM
            self._add(_published_at(self._versions[slug], when), user, when, end, own, door)

    def _add(
        self,
        version: PromptVersion,
        user: User | None,
        when: dt.datetime,
        end: endings.End,
        luck: random.Random,
        door: str,
    ) -> None:
        inputs, answer = _exchange(version, when, luck)
        key = self._keys.get(user.pk) if user and door == Call.Door.API else None
        call = Call(
            id=uuid.UUID(int=luck.getrandbits(128), version=4),
            created_at=when,
            dispatched_at=when,
            user=user,
            key=key,
            door=door,
            prompt_id=version.prompt_id,
            version=version,
            inputs=inputs,
            request=render(version.content(), inputs),
            demo=True,
        )
        self.records += end(call, endings.Ending(answer, self._book, luck))
        self.calls.append(call)


def _usual_calls(day: dt.date, days_ago: int, luck: random.Random) -> Iterator[tuple[str, str | None]]:
    """Which prompts were used that day and by whom; a little more from week to week."""
    growth = 1.15 - days_ago / 100
    count = round(RHYTHM[day.weekday()] * growth * luck.uniform(0.8, 1.2))
    slugs = luck.choices(list(HABITS), [weight for weight, _ in HABITS.values()], k=count)
    for slug in slugs:
        people = HABITS[slug][1]
        yield slug, luck.choices(list(people), list(people.values()))[0]


def _moment(day: dt.date, luck: random.Random) -> dt.datetime:
    """A moment in that day's working hours, in the installation's time zone."""
    hour = FIRST_HOUR + luck.choices(range(len(HOURS)), HOURS)[0]
    clock = dt.time(hour, luck.randrange(60), luck.randrange(60), luck.randrange(1_000_000))
    return timezone.make_aware(dt.datetime.combine(day, clock))


def _published_at(versions: list[PromptVersion], when: dt.datetime) -> PromptVersion:
    """The version that people used at `when`."""
    since = [version.published_at or version.created_at for version in versions]
    return versions[max(0, bisect_right(since, when) - 1)]


def _exchange(version: PromptVersion, when: dt.datetime, luck: random.Random) -> tuple[dict[str, str], str]:
    """What was put into the prompt, cleaned as a form does it, and what Claude answered."""
    example = luck.choice(EXAMPLES[version.prompt.slug])
    words = _words(when, luck)
    raw = {name: fill(text, words) for name, text in example.inputs.items()}
    inputs = {spec.name: spec.clean(raw.get(spec.name, spec.default)) for spec in specs(version.content())}
    return inputs, fill(example.answer, words)


def _words(when: dt.datetime, luck: random.Random) -> dict[str, str]:
    """A value for each blank of the examples."""
    day = timezone.localtime(when).date()
    count, price = luck.randint(2, 40), Decimal(luck.randint(300, 9000)) / 100
    net = count * price
    tax = (net * Decimal("0.19")).quantize(Decimal("0.01"))
    number = luck.randint(12, 90)
    return {
        **{name: luck.choice(options) for name, options in WORDS.items()},
        "order": str(luck.randint(10_000_000, 99_999_999)),
        "number": str(number),
        "larger": str(number + luck.randint(30, 200)),
        "amount": f"{Decimal(luck.randint(2000, 90000)) / 100:.2f}",
        "day": day.isoformat(),
        "day_due": (day + dt.timedelta(days=30)).isoformat(),
        "count": str(count),
        "price": f"{price:.2f}",
        "net": f"{net:.2f}",
        "tax": f"{tax:.2f}",
        "gross": f"{net + tax:.2f}",
    }
