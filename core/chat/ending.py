"""How is an answer stopped, and how does a conversation go for good?"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils import timezone

from core.costs import budgets
from core.live import channel
from core.live.stops import ask_to_stop
from core.models import Attachment, Call, Conversation, StoredFile, Turn

# A file that no chat holds any more is kept so long, for somebody may be attaching it just now.
UNUSED_FOR = dt.timedelta(days=1)
# Conversations that one round looks at.
AT_ONCE = 500


def stop(call: Call) -> bool:
    """Take back what was not sent, and let what is being written end where it is; False where nobody could be told.

    Claude bills what it wrote until then without saying how much, so that its cost stays unknown.
    """
    return call.finished or budgets.cancel(call) or ask_to_stop(call.pk)


def delete(conversation: Conversation) -> None:
    """Nobody finds it any more, and nothing of what was said stays; what it cost does, with the bare facts."""
    conversation.mark_deleted()
    for turn in conversation.turns.exclude(call__status__in=Call.FINISHED).select_related("call"):
        stop(turn.call)
    forget_deleted()


def delete_old() -> int:
    """Delete chats in which nothing was said for longer than contents are kept; answers how many.

    In those that go on, what is older than that goes with the contents of its calls.
    """
    if not settings.RESULT_RETENTION_DAYS:
        return 0
    before = timezone.now() - dt.timedelta(days=settings.RESULT_RETENTION_DAYS)
    emptied = Turn.objects.filter(call__pruned_at__isnull=False)
    Attachment.objects.filter(turn__in=emptied.values("pk")).delete()
    emptied.exclude(text="").update(text="")
    old = Conversation.objects.old(before)
    chosen = list(old.values_list("pk", flat=True)[:AT_ONCE])
    # Somebody may have said something in the meantime.
    return old.filter(pk__in=chosen).update(deleted_at=timezone.now())


def forget_deleted() -> int:
    """Empty the calls of deleted conversations in which nothing is under way, and remove the rest; how many."""
    gone = list(Conversation.objects.to_forget().values_list("pk", flat=True)[:AT_ONCE])
    for conversation_id in gone:
        _forget(Conversation(pk=conversation_id))
    return len(gone)


def forget_files() -> int:
    """Remove the files that no message holds; answers how many. One that is attached meanwhile stays."""
    held = Attachment.objects.filter(file=OuterRef("pk"))
    unused = StoredFile.objects.filter(~Exists(held), used_at__lt=timezone.now() - UNUSED_FOR)
    # One statement: Django's own way reads the bytes of all of them first, and asks no more when it deletes.
    return unused._raw_delete(unused.db)


def tidy() -> str:
    """All of it, for the clock."""
    old, forgotten = delete_old(), forget_deleted()
    return f"{old} old chats deleted, {forgotten} forgotten, {forget_files()} unused files removed"


def _forget(conversation: Conversation) -> None:
    calls = list(Turn.objects.filter(conversation=conversation).values_list("call", flat=True))
    with transaction.atomic():
        Call.objects.filter(pk__in=calls).empty()
        Conversation.objects.filter(pk=conversation.pk).delete()
    for call in calls:
        channel.forget(call)
