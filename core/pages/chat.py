"""How does somebody chat with Claude?

Each message is a form that leads back to the page, which shows the answer while it is written; so the page reloaded, a
second tab, and a browser without JavaScript all show the same.
"""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from core.chat import ending, files, say
from core.chat.choices import is_offered, system_prompts_offered
from core.chat.errors import ChatError, FileError
from core.chat.files import Incoming
from core.chat.say import Message
from core.chat.tree import tree_of, turns_at
from core.costs.budgets import OverBudgetError
from core.models import Conversation, SystemPromptVersion, Turn, User
from core.pages import chat_show
from core.pages.access import signed_in
from core.pages.budgets import refusal
from core.pages.errors import helpful_404, needs
from core.routing.choose import UnknownModelError

LONGEST_TOKEN = 64
GONE = "The model that this chat was set to does not answer any more. Choose another one under «Settings»."
SIGNED_OUT = "You are not signed in any more. What you wrote is still here: sign in, and then send it again."
P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def may_chat(view: View[P]) -> View[P]:
    """Let only those in who may chat; what was typed meanwhile stays with whoever is not signed in any more."""
    checked = needs("core.use_chat", "Chatting with Claude takes a permission.")(view)

    @functools.wraps(view)
    def wrapped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if request.method == "POST" and request.headers.get("HX-Request") and not request.user.is_authenticated:
            return _in_the_form(request, {"problem": SIGNED_OUT, "sign_in": True})
        return checked(request, *args, **kwargs)

    return wrapped


@helpful_404
@may_chat
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def chat(request: HttpRequest) -> HttpResponseBase:
    """GET shows an empty chat and the list of one's own; POST begins one."""
    if request.method != "POST":
        return render(request, "pages/chat.html", chat_show.blank(request))

    def begin() -> Turn:
        asked, system = _chosen(request)
        return say.begin(_person(request), None, _message(request), asked, system)

    return _said(request, None, begin)


@helpful_404
@may_chat
@never_cache
@require_safe
def conversation(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """One chat; `?turn=` shows the branch of that exchange, `?edit=` its words to be changed.

    With `?part=turn` only that exchange, with `?part=facts` only what changes beside it, with `?part=newest` only which
    exchange is the newest.
    """
    found = _find(request, pk)
    part, wanted = request.GET.get("part"), _number(request.GET.get("turn"))
    if part == "turn":
        return _one(request, found, wanted)
    if part == "newest":
        return HttpResponse(str(tree_of(found).newest), content_type="text/plain")
    context = chat_show.page(request, found, wanted, editing=_number(request.GET.get("edit")))
    return render(request, "pages/_chat_facts.html" if part == "facts" else "pages/chat.html", context)


@helpful_404
@may_chat
@require_POST
def chat_say(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """The next message, after the exchange that the form names, or else the newest."""
    found = _find(request, pk)
    named = request.POST.get("parent") or tree_of(found).newest
    parent = _turn(found, str(named)) if named else None
    return _said(request, found, lambda: say.say(found, parent, _message(request)))


@helpful_404
@may_chat
@require_POST
def chat_again(request: HttpRequest, pk: uuid.UUID, turn: int) -> HttpResponseBase:
    """Another answer to the same words."""
    found = _find(request, pk)
    return _said(request, found, lambda: say.again(_turn(found, turn), _token(request)))


@helpful_404
@may_chat
@require_POST
def chat_edit(request: HttpRequest, pk: uuid.UUID, turn: int) -> HttpResponseBase:
    """Other words in the place of these."""
    found = _find(request, pk)
    keep = request.POST.getlist("keep")
    return _said(request, found, lambda: say.edit(_turn(found, turn), _message(request), keep), editing=turn)


@helpful_404
@may_chat
@require_POST
def chat_summary(request: HttpRequest, pk: uuid.UUID) -> HttpResponseBase:
    """Go on with a summary of what was said."""
    found = _find(request, pk)
    parent = _turn(found, request.POST.get("parent"))
    return _said(request, found, lambda: say.summarise(found, parent, _token(request)))


@helpful_404
@may_chat
@require_POST
def chat_stop(request: HttpRequest, pk: uuid.UUID, turn: int) -> HttpResponse:
    """Stop an answer that is being written."""
    found = _find(request, pk)
    if not ending.stop(_turn(found, turn).call):
        messages.warning(request, "The answer could not be stopped at this moment. Please try again.")
    elif request.headers.get("HX-Request"):
        # The page hears of the end by itself.
        return HttpResponse(status=204)
    return redirect(_address(found, turn))


@helpful_404
@may_chat
@require_POST
def chat_settings(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Its title, and which model and system prompt the next messages go to."""
    found = _find(request, pk)
    title = " ".join(request.POST.get("title", "").replace("\x00", "").split())
    if title:
        found.rename(title)
    asked, system = _chosen(request, found)
    found.choose(asked, system)
    messages.success(request, "Saved. It counts from the next message on.")
    return redirect(found)


@helpful_404
@may_chat
@require_POST
def chat_delete(request: HttpRequest, pk: uuid.UUID) -> HttpResponse:
    """Delete a chat with all that was said in it."""
    ending.delete(_find(request, pk))
    messages.success(request, "The chat is deleted. What it cost stays in the books, without what was said.")
    return redirect("chat")


def _said(
    request: HttpRequest, found: Conversation | None, saying: Callable[[], Turn], **shown: Any
) -> HttpResponseBase:  # fmt: skip
    """Back to the page with the new exchange, or with why there is none; what was typed is kept."""
    try:
        turn = saying()
    except (ChatError, UnknownModelError, OverBudgetError) as error:
        return _refused(request, found, error, **shown)
    return redirect(f"{_address(turn.conversation)}#latest")


def _refused(request: HttpRequest, found: Conversation | None, error: Exception, **shown: Any) -> HttpResponseBase:
    over = refusal(request, error) if isinstance(error, OverBudgetError) else None
    problem = "" if over else GONE if isinstance(error, UnknownModelError) else str(error)
    context: dict[str, Any] = {"problem": problem, "refusal": over, "typed": request.POST.get("text", "")}
    if request.headers.get("HX-Request"):
        return _in_the_form(request, context)
    context["files_lost"] = bool(request.FILES)
    wanted = _number(request.POST.get("parent"))
    page = chat_show.page(request, found, wanted, **shown) if found else chat_show.blank(request)
    return render(request, "pages/chat.html", {**page, **context}, status=402 if over else 422)


def _in_the_form(request: HttpRequest, context: dict[str, Any]) -> HttpResponse:
    """Say it above the form, which stays as it is, its files included, which no page could put back."""
    response = render(request, "pages/_chat_problem.html", context)
    response["HX-Retarget"], response["HX-Reselect"], response["HX-Reswap"] = "#problem", "#problem", "outerHTML"
    response["HX-Push-Url"] = "false"
    return response


def _one(request: HttpRequest, found: Conversation, wanted: int | None) -> HttpResponse:
    turn = _turn(found, wanted)
    tree = tree_of(found)
    last = turns_at(tree.path(turn.pk))
    context = {
        "conversation": found,
        "each": chat_show.shown(turn, tree, last),
        "last": turn,
        "token": chat_show.new_token(),
    }
    return render(request, "pages/_chat_turn.html", context)


def _message(request: HttpRequest) -> Message:
    return Message(
        text=request.POST.get("text", ""),
        files=_files(request),
        token=_token(request),
        leave_out=request.POST.get("when_full") == "leave_out",
    )


def _files(request: HttpRequest) -> list[Incoming]:
    """What was chosen, each as it will be sent. Raises `FileError`, before anything large is read into memory."""
    uploads = request.FILES.getlist("files")
    if len(uploads) > files.MOST_FILES:
        raise FileError(f"A message can have {files.MOST_FILES} files at most.")
    if sum(upload.size or 0 for upload in uploads) > files.LARGEST_MESSAGE:
        raise FileError(f"The files of a message can have {files.LARGEST_MESSAGE // files.MB} MB together.")
    return [files.read(upload.name or "", upload.read()) for upload in uploads]


def _chosen(request: HttpRequest, found: Conversation | None = None) -> tuple[str, SystemPromptVersion | None]:
    """The model and system prompt that the form names; of what is not offered, what was chosen before."""
    asked = request.POST.get("asked", "")
    if not is_offered(asked):
        asked = found.asked if found else ""
    named = request.POST.get("system", "")
    if named == "same" and found is not None:
        return asked, found.system
    prompt = system_prompts_offered().filter(pk=named).first() if named.isdecimal() and len(named) < 19 else None
    return asked, prompt.current_version() if prompt else None


def _find(request: HttpRequest, pk: uuid.UUID) -> Conversation:
    """One's own chat. Raises Http404 for others', whatever one may do."""
    mine = Conversation.objects.of_person(request.user).select_related("system__system_prompt", "key")
    found = mine.filter(pk=pk).first()
    if found is None:
        raise Http404("no such chat, or not yours")
    return found


def _turn(found: Conversation, named: object) -> Turn:
    number = _number(named)
    turns = found.turns.select_related("call", "parent", "conversation").prefetch_related("attachments")
    turn = turns.filter(pk=number).first() if number is not None else None
    if turn is None:
        raise Http404("no such exchange in this chat")
    return turn


def _number(text: object) -> int | None:
    digits = str(text or "")
    return int(digits) if digits.isascii() and digits.isdecimal() and len(digits) < 19 else None


def _token(request: HttpRequest) -> str:
    return "".join(request.POST.get("token", "").split("\x00"))[:LONGEST_TOKEN]


def _address(found: Conversation, turn: int | None = None) -> str:
    base = reverse("chat_conversation", args=[found.pk])
    return f"{base}?turn={turn}" if turn else base


def _person(request: HttpRequest) -> User:
    user = signed_in(request)
    assert user is not None, "the views ask for a login"  # noqa: S101 - for the type checker
    return user
