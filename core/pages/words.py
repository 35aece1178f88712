"""How are a call's states and faults said so that a person understands them?"""

from __future__ import annotations

from dataclasses import dataclass

from core.models import Call


@dataclass(frozen=True)
class Fault:
    """What went wrong, and what to do now."""

    what: str
    now: str


# A glance, and the sentence that explains it.
STATES: dict[str, tuple[str, str]] = {
    Call.Status.QUEUED: ("Waiting", "Your request waits for a free worker. It starts by itself."),
    Call.Status.RUNNING: ("At work", "Claude is at work. You may leave this page and come back: nothing gets lost."),
    Call.Status.WAITING: ("Waiting to try again", "The last try did not work out. It is tried again by itself."),
    Call.Status.SUCCEEDED: ("Done", "The answer is complete."),
    Call.Status.FAILED: ("Failed", "There is no complete answer."),
    Call.Status.DEAD: ("Given up", "It was tried several times without success."),
    Call.Status.CANCELED: ("Canceled", "It was canceled and is not tried any more."),
}
# Of a call whose route says «send as batch», and of a table's rows.
IN_A_BATCH: dict[str, tuple[str, str]] = {
    Call.Status.WAITING: (
        "Waits for a batch",
        "It goes to Claude together with others, at half price. The answer comes within 24 hours.",
    ),
    Call.Status.QUEUED: ("In a batch", "It is on its way to Claude in a batch, at half price."),
    Call.Status.RUNNING: (
        "In a batch",
        "Claude has it in a batch, at half price, and answers within 24 hours. You may leave this page and come back.",
    ),
}

_ASK = "Please tell an administrator; trying again will not help until it is put right."
_LATER = "Run it again in a few minutes."
FAULTS: dict[str, Fault] = {
    "authentication_error": Fault("Claude did not accept this installation's API key.", _ASK),
    "permission_error": Fault("This installation's API key may not do this.", _ASK),
    "not_found_error": Fault(
        "The model of this prompt does not exist, or not any more.",
        "Please tell whoever edits this prompt: it needs another model.",
    ),
    "invalid_request_error": Fault(
        "Claude could not accept this request as it is.",
        "What Claude said tells what to change. Edit what you entered and run it again, or tell whoever edits this "
        "prompt.",
    ),
    "request_too_large": Fault("This is more text than Claude takes at once.", "Shorten what you entered and run it."),
    "billing_error": Fault("Claude's account of this organisation cannot pay for this now.", _ASK),
    "rate_limit_error": Fault("More was asked of Claude than this organisation's account allows at once.", _LATER),
    "overloaded_error": Fault("Claude is overloaded at the moment.", _LATER),
    "api_error": Fault("Something went wrong at Claude's side.", _LATER),
    "timeout_error": Fault("Claude did not finish in time.", "Run it again, with a shorter text if you can."),
    "connection_error": Fault("Claude could not be reached, or the connection to it broke.", _LATER),
    "incomplete_stream": Fault("The answer broke off before its end.", "Run it again."),
    "expired": Fault("Claude did not come to this request within a day.", "Run it again; nothing was billed for it."),
    "worker_lost": Fault(
        "The program that worked on this was stopped before it could save the answer.", "Run it again."
    ),
    "configuration_error": Fault("This installation is not set up to call Claude.", _ASK),
}
# Of these Claude said nothing: what there is to read was written here.
OUR_OWN = frozenset({"connection_error", "timeout_error", "incomplete_stream", "worker_lost", "configuration_error"})
SPEND_LIMIT = Fault("This organisation has reached its spend limit at Claude.", _ASK)
UNKNOWN_FAULT = Fault(
    "Something went wrong that has no name here yet.", "Run it again; if it fails again, tell an administrator."
)

# Why Claude stopped, where that is not simply the end of the answer.
STOPS: dict[str, Fault] = {
    "max_tokens": Fault(
        "The answer was cut off: it reached the longest answer that this prompt allows.",
        "Ask for something shorter, or ask whoever edits this prompt to allow longer answers.",
    ),
    "model_context_window_exceeded": Fault(
        "The answer was cut off: question and answer together are longer than the model can hold.",
        "Shorten what you entered and run it again.",
    ),
    "refusal": Fault(
        "Claude declined to answer this, or to go on.",
        "Put it differently, or leave out what Claude may not help with. What was sent and written is billed.",
    ),
}
# A request without a prompt says by itself how long its answer may be.
CUT_OFF_BY_ITSELF = Fault(
    "The answer was cut off: it reached the longest answer that the request allows.",
    "The program that asked can allow more: its request says so as «max_tokens».",
)

CUT_OFF_IN_A_CHAT = Fault(
    "The answer was cut off: it reached the longest answer that a chat allows.",
    "Write «Go on», and Claude goes on from there.",
)


def states_of(call: Call) -> dict[str, tuple[str, str]]:
    """For each status, a glance and the sentence that explains it, as they are true of this call."""
    return {**STATES, **IN_A_BATCH} if call.lane == Call.Lane.BATCH else STATES


def fault_of(call: Call) -> Fault | None:
    """What to say about a call that failed, or about the try that did."""
    if call.lane == Call.Lane.BATCH and not call.finished:
        return None
    if call.status not in {Call.Status.FAILED, Call.Status.DEAD, Call.Status.WAITING}:
        return None
    if call.parked:
        return SPEND_LIMIT
    return FAULTS.get(call.error_type, UNKNOWN_FAULT)


def heard(error_type: str) -> str:
    """Whose words an error's message is."""
    return "What happened" if error_type in OUR_OWN else "Claude said"


def stop_of(call: Call) -> Fault | None:
    if call.status != Call.Status.SUCCEEDED:
        return None
    if call.stop_reason == "max_tokens" and call.door == Call.Door.CHAT:
        return CUT_OFF_IN_A_CHAT
    if call.stop_reason == "max_tokens" and call.prompt_id is None:
        return CUT_OFF_BY_ITSELF
    return STOPS.get(call.stop_reason)
