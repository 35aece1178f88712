"""Which label does a classifier give a request, and what did it cost to ask?

Whatever goes wrong, there is a label: the default one, with the reason, and the request goes on.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from core.claude import client
from core.claude.errors import ClaudeError
from core.claude.replies import Reply
from core.claude.requests import Sending
from core.costs.ledger import Exchange, book
from core.models import Call, ClassifiedInput, CostRecord
from core.routing.asking import Said, digest_of_input, question, understood
from core.routing.book import Questions

# For how long the same input is not asked about again.
LOST_BEFORE = "a classifier was asked before and did not answer"
KEPT = dt.timedelta(days=1)


@dataclass(frozen=True)
class Classified:
    """A label, why it is only the default one ("" where the classifier said it), and what asking took."""

    label: str
    why: str = ""
    seconds: float | None = None
    # USD; None where nothing was asked, or, with `seconds`, where nobody knows it.
    cost: Decimal | None = None
    remembered: bool = False

    def as_json(self) -> dict[str, Any]:
        cost = None if self.cost is None else f"{self.cost:f}"
        values = {"label": self.label, "why": self.why, "seconds": self.seconds, "cost": cost}
        return {**values, "remembered": self.remembered}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Classified:
        return cls(**{**stored, "cost": None if stored["cost"] is None else Decimal(stored["cost"])})


@dataclass
class Classifying:
    """The classes of one call's request. A rule that looks at one asks for it here; each is asked for once.

    `questions` finds a classifier by its short name, `model_of` what its model's name stands for, and `unavailable`
    says whether a model is known not to answer at the moment.
    """

    call: Call
    text: str
    questions: Callable[[str], Questions | None]
    model_of: Callable[[str], str | None]
    unavailable: Callable[[str], bool]
    # Why no classifier may be asked for this call, "" where they may.
    forbidden: str = ""
    # Whether what is remembered of the same input does not count.
    anew: bool = False
    known: dict[str, Classified] = field(default_factory=dict)

    def class_of(self, slug: str) -> str:
        if slug not in self.known:
            self.known[slug] = self._classified(slug)
        return self.known[slug].label

    def _classified(self, slug: str) -> Classified:
        questions = self.questions(slug)
        if questions is None:
            return Classified("", "there is no such classifier any more")
        digest = digest_of_input(questions.digest, self.text, questions.content)
        if not self.anew and (label := remembered(digest)) is not None:
            return Classified(label, remembered=True)
        model = self.model_of(questions.content["model"])
        if why := self._hindrance(questions, model):
            return Classified(questions.default_label, why)
        return self._ask(questions, str(model), digest)

    def _hindrance(self, questions: Questions, model: str | None) -> str:
        """Why it is not even asked."""
        if self.forbidden:
            return self.forbidden
        if model is None:
            return f"the model of «{questions.name}» does not answer any more"
        if self.unavailable(model):
            return f"{model} is not asked at the moment, because it failed too often"
        if not self.text.strip():
            return "there is no text to classify"
        # The books have room for one exchange without an answer per attempt, and one is loss of time enough.
        lost = CostRecord.objects.filter(call=self.call.pk, attempt=self.call.attempt, request_id="")
        if lost.filter(purpose=CostRecord.Purpose.CLASSIFICATION).exists():
            return LOST_BEFORE
        return ""

    def _ask(self, questions: Questions, model: str, digest: str) -> Classified:
        """Ask about the beginning, and once more with more of it where the model is not sure."""
        content = questions.content
        deadline = time.monotonic() + float(content["seconds"])
        said, classified = self._exchange(questions, model, content["characters"], deadline)
        unsure = said is not None and not said.sure
        if unsure and content["more_characters"] > content["characters"] < len(self.text.strip()):
            more, later = self._exchange(questions, model, content["more_characters"], deadline)
            seconds = (classified.seconds or 0) + (later.seconds or 0)
            cost = None if classified.cost is None or later.cost is None else classified.cost + later.cost
            # A second look that failed leaves the label of the first.
            label = more.label if more else classified.label
            said, classified = more or said, Classified(label, "", seconds, cost)
        if said is not None:
            remember(digest, said)
        return classified

    def _exchange(
        self, questions: Questions, model: str, characters: int, deadline: float
    ) -> tuple[Said | None, Classified]:
        """One question to Claude, booked whatever became of it."""
        if not self.call.mark_classifying(model):
            return None, Classified(questions.default_label, "another process has taken over")
        # Nobody holds a database connection while Claude answers.
        if not connection.in_atomic_block:
            connection.close()
        begun = time.monotonic()
        request = question(questions.content, model, self.text, characters)
        asked = ask(request, max(0.05, deadline - begun))
        seconds = round(time.monotonic() - begun, 3)
        record = self._book(model, asked)
        cost = record.amount if record else Decimal(0)
        said, why = read(questions, asked)
        return said, Classified(said.label if said else questions.default_label, why, seconds, cost)

    def _book(self, model: str, asked: Asked) -> CostRecord | None:
        """The record of an exchange that may have been billed, and the note that it is booked, both or neither."""
        with transaction.atomic():
            record = None if asked.free else book(self.call, asked.exchange(model))
            self.call.mark_classifying("")
        return record


@dataclass(frozen=True)
class Asked:
    """What came of one question: a reply, maybe in part, and the error where it is not whole."""

    reply: Reply
    error: ClaudeError | None

    @property
    def free(self) -> bool:
        """Whether nothing can have been billed."""
        return self.error is not None and not self.error.may_be_billed

    def exchange(self, model: str) -> Exchange:
        request_id = self.reply.request_id or (self.error.request_id if self.error else "")
        return Exchange(
            model=self.reply.model or model,
            request_id=request_id,
            raw_usage=dict(self.reply.usage),
            complete=self.reply.usage_complete,
            purpose=CostRecord.Purpose.CLASSIFICATION,
        )


def ask(request: Mapping[str, Any], seconds: float) -> Asked:
    """Ask Claude, for so many seconds at most; never raises `ClaudeError`."""
    answering = client.send(Sending(dict(request)), seconds)
    try:
        for _ in answering:
            pass
    except ClaudeError as error:
        return Asked(answering.reply, error)
    return Asked(answering.reply, None)


def read(questions: Questions, asked: Asked) -> tuple[Said | None, str]:
    """What a classifier said, or why it said nothing that can be used."""
    if asked.error is not None:
        return None, _failure(questions, asked.error)
    if asked.reply.stop_reason == "refusal":
        return None, f"«{questions.name}» refused to answer"
    said = understood(questions.content, asked.reply.text)
    return said, "" if said else f"«{questions.name}» named none of its labels"


def _failure(questions: Questions, error: ClaudeError) -> str:
    if error.type == "timeout_error" and error.status is None:
        return f"«{questions.name}» did not answer within {questions.content['seconds']:g} s"
    return f"«{questions.name}» could not be asked ({error.type})"


def remembered(digest: str) -> str | None:
    """The label that this input was given within the last day."""
    since = timezone.now() - KEPT
    return ClassifiedInput.objects.filter(pk=digest, at__gte=since).values_list("label", flat=True).first()


def remember(digest: str, said: Said) -> None:
    values = {"label": said.label, "sure": said.sure, "at": timezone.now()}
    ClassifiedInput.objects.update_or_create(pk=digest, defaults=values)


def forget_old() -> int:
    """Drop what is kept no longer; answers how many."""
    return ClassifiedInput.objects.filter(at__lt=timezone.now() - KEPT).delete()[0]
