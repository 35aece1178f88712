"""How does a message become an exchange: a turn in its conversation, and a call like any other that answers it?"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from django.db import transaction

from core.chat import files, window
from core.chat.errors import ChatError, FullError, StillAnsweringError
from core.chat.files import Incoming
from core.chat.requests import SUMMARISE, context_of, request_of
from core.chat.tree import tree_of, turns_at
from core.chat.window import Room
from core.execution.files import with_texts
from core.intake.again import close_letters
from core.intake.requests import Asking, accept_request
from core.models import Attachment, Call, Conversation, Handling, Key, SystemPromptVersion, Turn, User
from core.prompts.variables import LONGEST_TEXT
from core.routing.choose import Plan
from core.routing.names import plan_for

LONGEST_GUESSED_TITLE = 60
TOO_LONG_ALONE = "This message is by itself more than the model can hold. Shorten it, or leave out a file."
TOO_FULL = (
    "With this message the chat is more than the model can hold. Go on with a summary, leave out the oldest messages, "
    "or start a new chat."
)
TOO_MANY_FILES = (
    "With this message, the files of this chat are more than Claude takes at once. Leave out the oldest messages, or "
    "start a new chat."
)


@dataclass(frozen=True)
class Message:
    """What is said, with which files. The same `token` a second time says nothing new."""

    text: str
    files: Sequence[Incoming] = ()
    token: str = ""
    # Whether what is oldest may be left out so that it fits.
    leave_out: bool = False


@dataclass(frozen=True)
class _Saying:
    """One exchange in the making."""

    text: str
    kind: str
    attachments: Sequence[Attachment]
    token: str
    leave_out: bool = False
    # Whether Claude has just said that it cannot hold what this would be sent with.
    too_long: bool = False


def begin(
    user: User,
    key: Key | None,
    message: Message,
    asked: str = "",
    system: SystemPromptVersion | None = None,
    *,
    identity: uuid.UUID | None = None,
) -> Turn:
    """A new conversation with its first message, or the one that the same token began before.

    `identity` is what the conversation is to be known by, where that was told already; then it says whether that began
    before, and not the token. Raises what `say` raises; nothing is kept then.
    """
    with transaction.atomic():
        # The person's row serialises two clicks.
        User.objects.select_for_update(no_key=True).values_list("pk").get(pk=user.pk)
        token = "" if identity else message.token
        mine = Conversation.objects.kept().filter(user=user, key=key)
        begun = mine.filter(pk=identity) if identity else mine.filter(token=token).exclude(token="")
        conversation = begun.first() or Conversation.objects.create(
            pk=identity or uuid.uuid4(),
            user=user,
            key=key,
            asked=asked,
            system=system,
            token=token,
            title=_title(message),
        )
        return say(conversation, None, message)


def say(conversation: Conversation, parent: Turn | None, message: Message) -> Turn:
    """What was said after `parent`, with its call on its way to a worker.

    Raises `ChatError`, and what `accept_request` raises: `UnknownModelError`, `NotAllowedError`, `OverBudgetError`.
    """
    text = clean(message.text)
    if not text and not message.files:
        raise ChatError("Please write something.")
    files.check_together(message.files)
    with transaction.atomic():
        stored = files.store(message.files)
        over = parent is not None and window.too_long(parent)
        saying = _Saying(text, Turn.Kind.MESSAGE, stored, message.token, message.leave_out, over)
        return _exchange(conversation, parent, saying)


def again(turn: Turn, token: str = "") -> Turn:
    """Another answer to the same words; the one there is stays beside it."""
    if turn.call.pruned_at is not None:
        raise ChatError("These words are not kept any more.")
    with transaction.atomic():
        saying = _Saying(turn.text, turn.kind, files.again(turn.attachments.all()), token)
        return _exchange(turn.conversation, turn.parent, saying, since=turn.since_id)


def edit(turn: Turn, message: Message, keep: Collection[str] | None = None) -> Turn:
    """Other words in the place of these, and what follows from them; what was said before stays beside them.

    `keep` are the ids of the attachments that go along again; None for all.
    """
    text = clean(message.text)
    kept = [each for each in turn.attachments.all() if keep is None or str(each.pk) in keep]
    if not text and not kept and not message.files:
        raise ChatError("Please write something.")
    files.check_together(message.files, kept)
    with transaction.atomic():
        attachments = [*files.again(kept), *files.store(message.files)]
        over = window.too_long(turn)
        saying = _Saying(text, Turn.Kind.MESSAGE, attachments, message.token, message.leave_out, over)
        return _exchange(turn.conversation, turn.parent, saying, since=turn.since_id)


def summarise(conversation: Conversation, parent: Turn, token: str = "") -> Turn:
    """Ask for a summary, from which the conversation goes on."""
    with transaction.atomic():
        over = window.too_long(parent)
        saying = _Saying(SUMMARISE, Turn.Kind.SUMMARY, [], token, leave_out=True, too_long=over)
        return _exchange(conversation, parent, saying)


def clean(text: str) -> str:
    """As it is kept and sent. Raises `ChatError` where it is too long."""
    cleaned = text.replace("\r\n", "\n").replace("\x00", "\ufffd").strip()
    if len(cleaned) > LONGEST_TEXT:
        raise ChatError(f"A message can have {LONGEST_TEXT:,} characters; this one has {len(cleaned):,}.")
    return cleaned


def _exchange(conversation: Conversation, parent: Turn | None, saying: _Saying, since: int | None = None) -> Turn:
    """Belongs into the transaction in which its attachments were stored."""
    # Its row serialises two tabs, and a deletion.
    locked = Conversation.objects.kept().select_for_update(of=("self",)).select_related("system", "key", "user")
    conversation = locked.filter(pk=conversation.pk).first()  # type: ignore[assignment]
    if conversation is None:
        raise ChatError("This chat was deleted.")
    earlier = conversation.turns.filter(token=saying.token).first() if saying.token else None
    if earlier is not None:
        return earlier
    if conversation.turns.exclude(call__status__in=Call.FINISHED).exists():
        raise StillAnsweringError
    path = turns_at(tree_of(conversation).path(parent.pk if parent else None))
    since = since if since is not None else (parent.since_id if parent else None)
    whole = context_of(path, since)
    planned = plan_for(conversation.key, conversation.asked)
    room = window.room_of(planned)
    context = _fitting(conversation, whole, saying, room, since)
    turn = Turn(
        conversation=conversation, parent=parent, kind=saying.kind, text=saying.text, since_id=since, token=saying.token
    )
    # Whoever goes on has seen what was given up before. Those calls are locked before any budget's window is.
    before = Call.objects.filter(turn__conversation=conversation)
    close_letters(before, by=conversation.user, how=Handling.How.AGAIN, note="The conversation went on.")
    turn.call = _call(conversation, context, saying, planned, room.longest_answer)
    turn.save(force_insert=True)
    if len(context) < len(whole):
        _begin_at(turn, context)
    files.attach(turn, saying.attachments)
    conversation.touch()
    return turn


def _begin_at(turn: Turn, context: Sequence[Turn]) -> None:
    """What was left out for this turn is left out from here on."""
    turn.since = next((each for each in context if each.kind != Turn.Kind.SUMMARY), turn)
    turn.save(update_fields=["since"])


def _call(
    conversation: Conversation, context: Sequence[Turn], saying: _Saying, planned: Plan, longest_answer: int
) -> Call:
    request = request_of(
        context,
        saying.text,
        saying.attachments,
        model=planned.asked,
        system=conversation.system.text if conversation.system else "",
        longest_answer=longest_answer,
    )
    asking = Asking(conversation.user, conversation.key, Call.Door.CHAT, Call.Lane.QUEUE, planned=planned)
    return accept_request(with_texts(request), asking, stored=request)


def _fitting(
    conversation: Conversation, context: list[Turn], saying: _Saying, room: Room, since: int | None
) -> list[Turn]:
    """What of the context is sent along. Raises `FullError` where a person has to decide."""
    system = conversation.system.text if conversation.system else ""
    own = window.of_message(saying.text, saying.attachments)
    alone = own + files.tokens_of_text(system)
    if alone > room.longest_input:
        raise FullError(TOO_LONG_ALONE)
    # The system prompt is in the window already.
    filled = window.Window(window.window_of(context, room, system, since).tokens + own, room.longest_input)
    files_over = window.too_many_files(context, saying.attachments)
    over = files_over or filled.tokens > filled.longest
    nearly = saying.kind == Turn.Kind.MESSAGE and filled.nearly_full
    wanted = saying.leave_out and (nearly or saying.too_long)
    if not over and not wanted:
        return context
    if not saying.leave_out:
        raise FullError(TOO_MANY_FILES if files_over else TOO_FULL)
    return window.cut(context, room.longest_input - alone, without_files=files_over)


def _title(message: Message) -> str:
    """The first words."""
    words = " ".join(message.text.replace("\x00", "").split())
    if not words:
        return message.files[0].name[:LONGEST_GUESSED_TITLE] if message.files else ""
    if len(words) <= LONGEST_GUESSED_TITLE:
        return words
    cut = words[:LONGEST_GUESSED_TITLE].rpartition(" ")[0] or words[:LONGEST_GUESSED_TITLE]
    return f"{cut} …"
