"""What do people and programs talk about with Claude, in which branches, and with which files?

A `Turn` is one exchange: what was said, and the `Call` that answers it. Its parent is the exchange before it, so that a
regenerated answer or an edited message is a sibling, and a branch is a path from a turn back to the first one.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.urls import reverse
from django.utils import timezone

from core.models.calls import Call
from core.models.keys import Key
from core.models.prompts import SystemPromptVersion

if TYPE_CHECKING:
    from django.contrib.auth.models import AnonymousUser

    from core.models.people import User

LONGEST_TITLE = 120


class ConversationQuerySet(models.QuerySet["Conversation"]):
    def kept(self) -> ConversationQuerySet:
        """Those that nobody has deleted."""
        return self.filter(deleted_at=None)

    def of_person(self, user: User | AnonymousUser) -> ConversationQuerySet:
        """A person's own, held by themselves and not by a program of theirs. Nobody else's, whatever they may do."""
        return self.kept().filter(user=user.pk, key=None) if user.is_authenticated else self.none()

    def of_key(self, key: Key) -> ConversationQuerySet:
        return self.kept().filter(key=key)

    def old(self, before: dt.datetime) -> ConversationQuerySet:
        """Those in which nothing was said since then."""
        return self.kept().filter(touched_at__lt=before)

    def to_forget(self) -> ConversationQuerySet:
        """Deleted ones in which nothing is under way any more."""
        running = Turn.objects.filter(conversation=OuterRef("pk")).exclude(call__status__in=Call.FINISHED)
        return self.filter(~Exists(running), deleted_at__isnull=False)


class Conversation(models.Model):
    """One chat of a person or of a program."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="conversations", verbose_name="person"
    )
    key = models.ForeignKey(Key, on_delete=models.PROTECT, null=True, blank=True, related_name="conversations")
    title = models.CharField(max_length=LONGEST_TITLE, blank=True)
    # A model's id or alias, or a route's short name; empty: the usual one.
    asked = models.CharField("model or route", max_length=120, blank=True)
    system = models.ForeignKey(
        SystemPromptVersion,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="+",
        verbose_name="system prompt",
    )
    # What the browser or program named it, so that sending the first message twice begins one conversation.
    token = models.CharField(max_length=64, blank=True, editable=False)
    created_at = models.DateTimeField("begun", default=timezone.now, editable=False)
    touched_at = models.DateTimeField("last message", default=timezone.now, editable=False)
    deleted_at = models.DateTimeField("deleted", null=True, blank=True, editable=False)

    objects = ConversationQuerySet.as_manager()

    class Meta:
        verbose_name = "chat"
        ordering: ClassVar = ["-touched_at", "-id"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "token"],
                condition=~Q(token="") & Q(deleted_at=None),
                name="one_conversation_per_person_and_token",
            ),
        ]
        indexes: ClassVar = [
            models.Index(fields=["user", "-touched_at", "-id"], name="conversation_newest_of_user"),
            models.Index(fields=["-touched_at", "-id"], name="conversation_newest"),
            models.Index(
                fields=["deleted_at"], name="conversation_to_forget", condition=Q(deleted_at__isnull=False)
            ),
        ]  # fmt: skip
        permissions: ClassVar = [("use_chat", "Can chat with Claude")]

    def __str__(self) -> str:
        # Its title is a person's own words, and this is written in logs and in the administration.
        return f"chat {self.pk}"

    @property
    def name(self) -> str:
        """What its person knows it by."""
        return self.title or "New chat"

    def get_absolute_url(self) -> str:
        return reverse("chat_conversation", args=[self.pk])

    def rename(self, title: str) -> None:
        self._change(title=title[:LONGEST_TITLE])

    def choose(self, asked: str, system: SystemPromptVersion | None) -> None:
        """Which model and system prompt the next messages go to."""
        self._change(asked=asked, system=system)

    def touch(self) -> None:
        self._change(touched_at=timezone.now())

    def mark_deleted(self) -> None:
        """Nobody finds it any more from here on."""
        self._change(deleted_at=timezone.now())

    def _change(self, **values: object) -> None:
        for name, value in values.items():
            setattr(self, name, value)
        self.save(update_fields=list(values))


class Turn(models.Model):
    """One exchange: what was said, and the call that answers it."""

    class Kind(models.TextChoices):
        MESSAGE = "message"
        # Asks for a summary of what came before; from here on only that is sent.
        SUMMARY = "summary"

    conversation = models.ForeignKey(Conversation, on_delete=models.CASCADE, related_name="turns")
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, blank=True, related_name="children")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.MESSAGE)
    text = models.TextField(blank=True)
    call = models.OneToOneField(Call, on_delete=models.PROTECT, related_name="turn")
    # What came before this exchange is left out of what is sent; empty: nothing is.
    since = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    # What the browser or program named the message, so that sending it twice says it once.
    token = models.CharField(max_length=64, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering: ClassVar = ["conversation", "pk"]
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["conversation", "token"], condition=~Q(token=""), name="one_turn_per_conversation_and_token"
            ),
        ]

    def __str__(self) -> str:
        return f"turn {self.pk}"

    @property
    def answered(self) -> bool:
        """Whether there is something of an answer: all of it, or what came before it stopped or broke off."""
        return self.call.finished and bool(self.call.text.strip())


class StoredFile(models.Model):
    """The bytes of a file, once, however often it was attached."""

    sha256 = models.CharField(primary_key=True, max_length=64)
    data = models.BinaryField()
    # When it was last attached; what is in nobody's chat any more goes some time after that.
    used_at = models.DateTimeField(default=timezone.now, db_index=True)

    def __str__(self) -> str:
        return self.sha256[:12]


class AttachmentQuerySet(models.QuerySet["Attachment"]):
    def of_person(self, user: User | AnonymousUser) -> AttachmentQuerySet:
        return self.filter(turn__conversation__in=Conversation.objects.of_person(user).values("pk"))


class Attachment(models.Model):
    """A file that belongs to a message, under the name that it came with."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    turn = models.ForeignKey(Turn, on_delete=models.CASCADE, related_name="attachments")
    file = models.ForeignKey(StoredFile, on_delete=models.PROTECT, related_name="attachments")
    position = models.PositiveSmallIntegerField(default=0)
    name = models.CharField(max_length=150)
    # What its bytes say that it is, and not what its name does.
    media_type = models.CharField(max_length=40)
    size = models.PositiveIntegerField("bytes")
    # About how many tokens it is for a model.
    tokens = models.PositiveIntegerField()

    objects = AttachmentQuerySet.as_manager()

    class Meta:
        ordering: ClassVar = ["turn", "position"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_image(self) -> bool:
        return self.media_type.startswith("image/")

    def get_absolute_url(self) -> str:
        return reverse("chat_file", args=[self.pk])
