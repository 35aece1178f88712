"""Who opens this socket, and from where?

A person comes with the session of their browser, a program with its key. A browser opens sockets to any server from any
page and sends its cookies along, so a session counts only from pages of this very server; a key nobody sends unawares.
Both are asked for anew with each message: a key that was taken back, or a person who has signed out, says nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user
from django.core.exceptions import DisallowedHost
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.utils.http import is_same_domain

from core.intake import keys
from core.models import Key, User


class StrangerError(Exception):
    """Nobody who may come in; the text is for the log, and says nothing secret."""


@dataclass(frozen=True)
class Caller:
    """A person, or a program under its owner's name."""

    user: User
    key: Key | None = None


def request_of(scope: dict[str, Any]) -> HttpRequest:
    """The handshake as a request: headers, cookies, query and host, read as Django reads them."""
    scheme = {"ws": "http", "wss": "https"}.get(scope.get("scheme", "ws"), "http")
    return ASGIRequest({**scope, "type": "http", "method": "GET", "scheme": scheme}, BytesIO())


def caller_of(request: HttpRequest) -> Caller:
    """Raises `StrangerError` for whoever may not, or not any more, come in by this handshake."""
    here = _address_of(request)
    secret = keys.secret_in(request.META)
    caller = _by_key(secret) if secret else _by_session(request, here)
    if not caller.user.has_perm("core.use_chat"):
        raise StrangerError("this person may not chat")
    return caller


def _by_key(secret: str) -> Caller:
    key = keys.opened_by(secret)
    if key is None:
        raise StrangerError("the key opens nothing")
    return Caller(key.user, key)


def _by_session(request: HttpRequest, here: str) -> Caller:
    _check_origin(request.META.get("HTTP_ORIGIN"), here)
    user = _signed_in(request)
    if user is None:
        raise StrangerError("nobody is signed in")
    return Caller(user)


def _address_of(request: HttpRequest) -> str:
    """This server as a browser names it."""
    try:
        return f"{'https' if request.is_secure() else 'http'}://{request.get_host()}"
    except DisallowedHost as error:
        raise StrangerError("this host is not ours") from error


def _check_origin(origin: str | None, here: str) -> None:
    """As for a form: the page is of this server, or of one that the settings trust."""
    if origin is None:
        raise StrangerError("a session without an origin")
    if origin != here and not any(_matches(origin, trusted) for trusted in settings.CSRF_TRUSTED_ORIGINS):
        raise StrangerError("a page of another server")


def _matches(origin: str, trusted: str) -> bool:
    if "*" not in trusted:
        return origin == trusted
    ours, theirs = urlsplit(trusted), urlsplit(origin)
    return ours.scheme == theirs.scheme and is_same_domain(theirs.netloc, ours.netloc.lstrip("*"))


def _signed_in(request: HttpRequest) -> User | None:
    """By Django's own rules: an active person whose password is still the one they signed in with."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    request.session = store(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
    user = get_user(request)
    return user if isinstance(user, User) else None
