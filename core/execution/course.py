"""Which model is asked next, and what is said of those that did not answer?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from core.claude.errors import ClaudeError
from core.execution import breaker
from core.execution.cleaning import cleaned
from core.execution.fallbacks import Chain, chain_of, usable
from core.execution.patience import PARKED
from core.models import Call, ClaudeModel, FailedAttempt
from core.routing.choose import Choice

LONGEST_REASON = 500
_WORDS = {
    "overloaded_error": "overloaded",
    "rate_limit_error": "over its rate limit",
    "timeout_error": "no answer in time",
    "connection_error": "the connection broke",
    "incomplete_stream": "the answer broke off",
    "api_error": "an error at Claude",
}


class Course:
    """The models of one call in their order: the chosen one, then those of its chain."""

    def __init__(self, call: Call, choice: Choice, body: Mapping[str, Any], attempts: int) -> None:
        self._call = call
        self._choice = choice
        self._asked = choice.apply(body)
        self._attempts = attempts
        # What did not answer, in the words of the reason; and how often each was tried.
        self._failed: dict[str, str] = {}
        self.tried: Counter[str] = Counter()
        # What was said of an earlier run's models is said anew.
        self._why = choice.reason.partition(f" {choice.model} did not answer (")[0]
        self.model = choice.model
        self.body: Mapping[str, Any] = self._asked
        if call.attempt > 1:
            self._resume()

    @cached_property
    def chain(self) -> Chain:
        return chain_of(self._call.key, self._call.prompt)

    @property
    def strayed(self) -> bool:
        """Whether another model than the chosen one is asked."""
        return self.model != self._choice.model

    def fail(self, error: ClaudeError) -> None:
        """The model at hand did not answer."""
        words = _WORDS.get(error.type, error.type.replace("_", " "))
        self._failed[self.model] = f"{words}, {_times(self.tried[self.model])}"

    @property
    def used_up(self) -> bool:
        """Whether the model at hand was tried as often as it may be."""
        return self.tried[self.model] >= self._attempts

    def pass_over(self, why: str) -> None:
        """The model at hand is not asked."""
        self._failed[self.model] = why

    def other(self) -> str:
        """The next model of the chain that may be asked, or empty. It is to be asked now, or its breaker told."""
        for model in self.chain.models:
            if model == self._choice.model or model in self._failed or self.tried[model] >= self._attempts:
                continue
            if usable(self._call, model, self._asked) and not breaker.seconds_closed_to(model):
                return model
        return ""

    def turn_to(self, model: str) -> None:
        self.model = model
        self.body = cleaned(self._asked, ClaudeModel.objects.get(pk=model))

    def reason(self, what_it_did: str) -> str:
        """The reason for the model at hand; `what_it_did` is «is asked» or «answered»."""
        others = {model: words for model, words in self._failed.items() if model != self.model}
        if not others:
            return self._why
        return f"{self._why} {_silent(others)} {self.model} {what_it_did} instead."[:LONGEST_REASON]

    def reason_for_the_written_answer(self) -> str:
        return f"{self._why} {_silent(self._failed)} The written answer was given instead."[:LONGEST_REASON]

    def _resume(self) -> None:
        """In the queue a call goes on where it was."""
        failed = FailedAttempt.objects.filter(call=self._call).exclude(then=PARKED)
        self.tried.update(failed.values_list("model", flat=True))
        for model, times in self.tried.items():
            if times >= self._attempts:
                self._failed[model] = f"{_times(times)}"


def _silent(models: Mapping[str, str]) -> str:
    first, *others = [f"{model} did not answer ({words})" for model, words in models.items()]
    return "".join([first, *(f"; {other}" for other in others), ";"])


def _times(count: int) -> str:
    return "1 try" if count == 1 else f"{count} tries"
