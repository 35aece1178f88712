"""Which calls may this visitor see, and what may they do with one?"""

from __future__ import annotations

import uuid

from django.db.models import Q
from django.http import Http404, HttpRequest

from core.models import Call, Prompt, User
from core.models.calls import CallQuerySet

# A visitor who is not signed in is known by the session alone: it keeps the ids of the latest calls it made.
SESSION_KEY = "calls"
MOST_REMEMBERED = 50


def signed_in(request: HttpRequest) -> User | None:
    return request.user if request.user.is_authenticated else None


def visitor(request: HttpRequest) -> User:
    """Who is signed in, for views that ask for a login."""
    user = signed_in(request)
    assert user is not None, "the view asks for a login"  # noqa: S101 - for the type checker
    return user


def remember(request: HttpRequest, call: Call) -> None:
    """Let this session come back to a call that nobody is signed in for."""
    if call.user_id is None:
        request.session[SESSION_KEY] = [*_remembered(request), str(call.pk)][-MOST_REMEMBERED:]


def visible_calls(request: HttpRequest) -> CallQuerySet:
    """What the visitor may read: by who they are, and what this session asked before anybody signed in."""
    allowed = Call.objects.visible_to(request.user)
    remembered = _remembered(request)
    if not remembered:
        return allowed
    return allowed | Call.objects.filter(pk__in=remembered, user__isnull=True)


def find_call(request: HttpRequest, call_id: uuid.UUID) -> Call:
    """One visible call with all that its page shows. Raises Http404, for others' calls too."""
    related = visible_calls(request).select_related("prompt", "version", "user", "again_of", "key")
    call = related.prefetch_related("cost_records").filter(pk=call_id).first()
    if call is None:
        raise Http404("no such call, or not yours")
    return call


def is_own(request: HttpRequest, call: Call) -> bool:
    if call.user_id is None:
        return str(call.pk) in _remembered(request)
    return call.user_id == request.user.pk


def may_run_again(request: HttpRequest, call: Call) -> bool:
    """Whoever may run anybody's calls again; otherwise one's own, while one may still use its prompt."""
    if call.version_id is None or call.pruned_at is not None:
        return False
    if request.user.has_perm("core.rerun_call"):
        return True
    if not is_own(request, call):
        return False
    if call.door == Call.Door.TRY:
        return request.user.has_perm("core.try_prompt")
    return may_use_prompt(request, call)


def may_use_prompt(request: HttpRequest, call: Call) -> bool:
    if call.prompt_id is None:
        return False
    return Prompt.objects.usable_by(request.user).filter(pk=call.prompt_id).exists()


def may_cancel(request: HttpRequest, call: Call) -> bool:
    return call.cancelable and (is_own(request, call) or request.user.has_perm("core.cancel_call"))


def may_go_alone(request: HttpRequest, call: Call) -> bool:
    return call.waits_for_a_batch and (is_own(request, call) or request.user.has_perm("core.rerun_call"))


def may_read_all(request: HttpRequest) -> bool:
    return request.user.has_perm("core.view_all_calls")


def by_person(calls: CallQuerySet, name: str) -> CallQuerySet:
    """Calls of the one whose login is `name`; where nobody has that login, of all whose name holds it."""
    if User.objects.filter(username__iexact=name).exists():
        return calls.filter(user__username__iexact=name)
    parts = Q(user__username__icontains=name) | Q(user__first_name__icontains=name) | Q(user__last_name__icontains=name)
    return calls.filter(parts)


def _remembered(request: HttpRequest) -> list[str]:
    return list(request.session.get(SESSION_KEY, []))
