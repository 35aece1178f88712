"""How does a program send a batch through here, and get its results, as from the Claude API itself?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.urls import reverse

from core.batches import cancel as canceling
from core.batches.again import AnotherBatchError, StillComingError, start_once
from core.batches.reading import MOST_BYTES, SentBatch, TooLargeBatchError, UnreadableBatchError
from core.batches.show import as_json, page, result_lines
from core.batches.start import BadRowError, EmptyBatchError, OvertakenError
from core.gateway import bodies
from core.gateway.entry import opened, take
from core.gateway.errors import Refusal, new_request_id
from core.gateway.headers import for_claude
from core.gateway.messages import is_retry, name_of
from core.models import Batch, Call, Key

DEFAULT_PAGE = 20
LONGEST_PAGE = 1000


@opened("GET", "POST")
def batches(request: HttpRequest, key: Key) -> HttpResponse:
    """`/v1/messages/batches`."""
    return create(request, key) if request.method == "POST" else listed(request, key)


@opened("GET", "DELETE")
def batch(request: HttpRequest, key: Key, batch_id: str) -> HttpResponse:
    """`/v1/messages/batches/{id}`."""
    return delete(key, batch_id) if request.method == "DELETE" else one(request, key, batch_id)


def create(request: HttpRequest, key: Key) -> HttpResponse:
    """`POST /v1/messages/batches`: everything is written down and reserved, or nothing is."""
    standing = take(key)
    declared = request.META.get("CONTENT_LENGTH") or "0"
    if declared.isdecimal() and int(declared) > MOST_BYTES:
        raise Refusal(413, "Request exceeds the maximum size")
    asked = Batch(
        user=key.user,
        key=key,
        door=Call.Door.GATEWAY,
        headers=for_claude(request.META),
        beta=request.GET.get("beta") == "true",
        token=name_of(request),
    )
    made = _started(asked, SentBatch(bodies.source(request).read), retried=is_retry(request))
    return _shown(request, made, standing.headers())


def _started(asked: Batch, sent: SentBatch, *, retried: bool) -> Batch:
    try:
        return start_once(asked, sent, retried=retried)
    except BadRowError as error:
        raise Refusal(413 if error.too_large else 400, str(error)) from error
    except EmptyBatchError as error:
        raise Refusal(400, "requests: List should have at least 1 item after validation, not 0") from error
    except UnreadableBatchError as error:
        raise Refusal(400, str(error)) from error
    except TooLargeBatchError as error:
        raise Refusal(413, "Request exceeds the maximum size") from error
    except AnotherBatchError as error:
        raise Refusal(422, str(error)) from error
    except StillComingError as error:
        raise Refusal(409, str(error), {"retry-after": "5"}) from error
    except (OvertakenError, OSError) as error:
        raise Refusal(408, "The request's body did not come whole, or not in time.") from error


def listed(request: HttpRequest, key: Key) -> HttpResponse:
    """`GET /v1/messages/batches`: this key's own, the newest first."""
    standing = take(key)
    after, before = request.GET.get("after_id"), request.GET.get("before_id")
    if after and before:
        raise Refusal(400, "Only one of after_id and before_id may be given")
    found = page(
        Batch.objects.of_key(key),
        _limit(request),
        _named(key, after, "after_id"),
        _named(key, before, "before_id"),
    )
    data = [as_json(each, _results_url(request, each)) for each in found.batches]
    body = {
        "data": data,
        "has_more": found.more,
        "first_id": data[0]["id"] if data else None,
        "last_id": data[-1]["id"] if data else None,
    }
    return JsonResponse(body, headers=_headers(standing.headers()))


def _limit(request: HttpRequest) -> int:
    text = request.GET.get("limit") or str(DEFAULT_PAGE)
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Refusal(400, "limit: Input should be a valid integer, unable to parse string as an integer")
    if not 1 <= int(text) <= LONGEST_PAGE:
        raise Refusal(400, f"limit: Input should be from 1 to {LONGEST_PAGE}")
    return int(text)


def _named(key: Key, public_id: str | None, name: str) -> Batch | None:
    if not public_id:
        return None
    found = _found(key, public_id)
    if found is None:
        raise Refusal(400, f"{name}: no such object")
    return found


def _found(key: Key, public_id: str) -> Batch | None:
    # PostgreSQL cannot be asked for a NUL, and no id has one.
    return None if "\x00" in public_id else Batch.objects.of_key(key).filter(public_id=public_id).first()


def _of_key(key: Key, batch_id: str) -> Batch:
    found = _found(key, batch_id)
    if found is None:
        raise Refusal(404, f"Message Batch '{batch_id}' not found.")
    return found


def one(request: HttpRequest, key: Key, batch_id: str) -> HttpResponse:
    """`GET /v1/messages/batches/{id}`."""
    standing = take(key)
    return _shown(request, _of_key(key, batch_id), standing.headers())


@opened("POST")
def cancel(request: HttpRequest, key: Key, batch_id: str) -> HttpResponse:
    """`POST /v1/messages/batches/{id}/cancel`: what Claude has worked on by then is billed."""
    standing = take(key)
    found = _of_key(key, batch_id)
    canceling.cancel(found)
    found.refresh_from_db()
    return _shown(request, found, standing.headers())


def delete(key: Key, batch_id: str) -> HttpResponse:
    """`DELETE /v1/messages/batches/{id}`: its program sees it no more; what was spent stays in the books."""
    standing = take(key)
    found = _of_key(key, batch_id)
    if not found.mark_deleted():
        raise Refusal(400, f"Cannot delete Message Batch '{batch_id}': it is still processing. Cancel it first.")
    return JsonResponse({"id": found.public_id, "type": "message_batch_deleted"}, headers=_headers(standing.headers()))


@opened("GET")
def results(request: HttpRequest, key: Key, batch_id: str) -> HttpResponseBase:
    """`GET /v1/messages/batches/{id}/results`: a line of JSON for each request."""
    standing = take(key)
    found = _of_key(key, batch_id)
    if not found.over:
        raise Refusal(404, f"Message Batch '{batch_id}' has no available results: it is still processing.")
    lines = result_lines(found)
    # An event loop wants to be asked for each piece; a thread reads a plain iterator.
    body: Any = from_thread(lines) if isinstance(request, ASGIRequest) else lines
    headers = _headers(standing.headers())
    return StreamingHttpResponse(body, content_type="application/x-jsonl", headers=headers)


async def from_thread(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The same pieces for an event loop, each read in a thread."""
    while piece := await sync_to_async(_next)(pieces):
        yield piece


def _next(pieces: Iterator[bytes]) -> bytes:
    """The next piece, or an empty one at the end."""
    return next(pieces, b"")


def _shown(request: HttpRequest, shown: Batch, headers: Mapping[str, str]) -> HttpResponse:
    return JsonResponse(as_json(shown, _results_url(request, shown)), headers=_headers(headers))


def _results_url(request: HttpRequest, of: Batch) -> str:
    """Here, as this program reaches this server."""
    return request.build_absolute_uri(reverse("v1_batch_results", args=[of.public_id]))


def _headers(standing: Mapping[str, str]) -> dict[str, str]:
    return {**standing, "request-id": new_request_id()}
