"""Who works in the demo? One person for each role, and a few more who only fill in forms."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group

from core.models import User

PASSWORD = "demo"  # noqa: S105 - it is printed at every start and works nowhere but in a demo


@dataclass(frozen=True)
class Person:
    username: str
    first_name: str
    last_name: str
    role: str

    @property
    def staff(self) -> bool:
        """Whether the person may open the admin."""
        return self.role != "Member"


PEOPLE = (
    Person("member", "Maya", "Okafor", "Member"),
    Person("editor", "Jonas", "Lindqvist", "Prompt editor"),
    Person("publisher", "Elif", "Demir", "Prompt publisher"),
    Person("developer", "Sofia", "Marino", "Developer"),
    Person("finance", "Rafael", "Costa", "Finance"),
    Person("operator", "Priya", "Nair", "Operator"),
    Person("administrator", "Hannah", "Weiss", "Administrator"),
    Person("amara", "Amara", "Diallo", "Member"),
    Person("tomasz", "Tomasz", "Zieliński", "Member"),
    Person("mei", "Mei", "Tanaka", "Member"),
)


def create_people(since: dt.datetime) -> dict[str, User]:
    """The demo's people by their usernames, as if they had joined at `since`."""
    # Hashing is slow on purpose; everybody's password is the same and known to all, so one hash serves them.
    hashed = make_password(PASSWORD)
    users = User.objects.bulk_create(_user(person, hashed, since) for person in PEOPLE)
    groups = {group.name: group for group in Group.objects.all()}
    memberships = User.groups.through
    memberships.objects.bulk_create(
        memberships(user_id=user.pk, group_id=groups[person.role].pk)
        for person, user in zip(PEOPLE, users, strict=True)
    )
    return {user.username: user for user in users}


def _user(person: Person, hashed: str, since: dt.datetime) -> User:
    return User(
        username=person.username,
        first_name=person.first_name,
        last_name=person.last_name,
        email=f"{person.username}@example.org",
        password=hashed,
        is_staff=person.staff,
        date_joined=since,
        demo=True,
    )
