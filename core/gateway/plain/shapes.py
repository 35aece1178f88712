"""What does a script send to the plain addresses, and what does it get?"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from core.prompts.variables import LONGEST_TEXT

# A NUL is no text that anybody writes, and PostgreSQL stores none.
_NO_NUL = r"^[^\x00]*$"
Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT, pattern=_NO_NUL)]
Name = Annotated[str, Field(min_length=1, max_length=120, pattern=_NO_NUL)]
# Every model that can be chosen here writes as much; a longer answer is a matter for `/v1`, where the model is named.
MOST_TOKENS = 64_000
# To JSON, 500.0 is the whole number 500, too; «500» and true are none.
Tokens = Annotated[
    int,
    Field(ge=1, le=MOST_TOKENS, strict=True),
    BeforeValidator(lambda raw: int(raw) if isinstance(raw, float) and raw.is_integer() else raw),
]
# What a JSON value may be that takes a variable's place.
Input = Annotated[str, Field(max_length=LONGEST_TEXT, pattern=_NO_NUL)] | bool | int | float | None
Status = Literal["queued", "running", "waiting", "succeeded", "failed", "dead", "canceled"]
Usd = Annotated[
    str | None,
    Field(
        description="USD, as a text so that no digit is lost; null where it is not known, or not yet.",
        examples=["0.00125"],
    ),
]


class Asked(BaseModel):
    """What a script sends; a name that is not known is a slip, and is refused."""

    model_config = ConfigDict(extra="forbid")


class Options(Asked):
    """How free text is answered."""

    system: Text | None = Field(
        None, description="What Claude is to be, or to heed, before it reads the text.", examples=["Be brief."]
    )
    model: Name | None = Field(
        None, description="A model's id or alias, or a route's name. Without it: the usual one.", examples=["fast"]
    )
    max_tokens: Tokens | None = Field(
        None, description="The longest answer, in tokens, 64,000 at most. Without it: 4,096.", examples=[500]
    )


class Chat(Options):
    prompt: Text = Field(..., description="What to ask.", examples=["Name three uses of a brick."])


_NONE: JsonDict = {"type": "null"}
_OF_A_PROMPT: JsonDict = {
    "required": ["prompt"],
    "properties": {"prompt": {"type": "string"}, **dict.fromkeys(("text", "system", "model", "max_tokens"), _NONE)},
}
_OF_A_TEXT: JsonDict = {
    "required": ["text"],
    "properties": {"text": {"type": "string"}, "prompt": _NONE, "inputs": {"maxProperties": 0}},
}
_A_PROMPT: JsonDict = {"prompt": "summarise", "inputs": {"document": "A long text."}}
_A_TEXT: JsonDict = {"text": "Name three uses of a brick.", "model": "fast", "max_tokens": 500}


class NewCall(Options):
    """Either a prompt of this installation with its inputs, or a text."""

    model_config = ConfigDict(
        extra="forbid",
        # Made up of the fields' own, an example would name a prompt and what goes with a text.
        json_schema_extra={"oneOf": [_OF_A_PROMPT, _OF_A_TEXT], "examples": [_A_PROMPT, _A_TEXT]},
    )

    prompt: Name | None = Field(
        None, description="The address of a published prompt: the last part of /p/summarise/.", examples=["summarise"]
    )
    inputs: dict[str, Input] = Field(
        default_factory=dict,
        description="A value for each variable of the prompt; others take their default.",
        examples=[{"document": "A long text."}],
    )
    text: Text | None = Field(None, description="What to ask, instead of a prompt.")

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.prompt is None) == (self.text is None):
            raise ValueError("give either «prompt», with its «inputs», or «text»")
        if self.text is not None and self.inputs:
            raise ValueError("«inputs» belong to a «prompt»")
        if self.prompt is not None and (self.system or self.model or self.max_tokens):
            raise ValueError("a prompt has its own system prompt, model and length; «system», «model» and «max_tokens» "
                             "go with «text»")  # fmt: skip
        return self


class ChatAnswer(BaseModel):
    text: str
    tokens: int | None = Field(..., description="Of input and output together; null where they are not known.")
    model: str = Field(..., description="The model that answered.")
    call: uuid.UUID = Field(..., description="Under this id it is in the history.")
    cost_usd: Usd
    stop_reason: str = Field(..., description="As Claude says it: end_turn, max_tokens, refusal …")
    written: bool = Field(False, description="No model could answer: this is the answer that was written beforehand.")


class Accepted(BaseModel):
    id: uuid.UUID
    status: Status
    url: str = Field(..., description="Where to ask how far it is.")


class Usage(BaseModel):
    """Tokens of all exchanges with Claude together; the three kinds of input are disjoint."""

    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int


class Error(BaseModel):
    type: str
    message: str


class CallSummary(BaseModel):
    id: uuid.UUID
    status: Status
    url: str
    prompt: str | None = Field(..., description="The address of its prompt; null for free text.")
    model: str | None = Field(..., description="The model that answered, or answers; null until one is chosen.")
    cost_usd: Usd
    created_at: dt.datetime
    finished_at: dt.datetime | None


class CallAnswer(CallSummary):
    text: str | None = Field(..., description="The answer; null until the call has ended.")
    reason: str | None = Field(..., description="Why this model.")
    stop_reason: str | None
    usage: Usage | None = Field(..., description="null where it is not known, or not yet.")
    error: Error | None = Field(..., description="Why there is no answer, or none yet.")
    written: bool


class CallList(BaseModel):
    """One page, the newest first; `last_id` as `after_id` gives the next."""

    data: list[CallSummary]
    has_more: bool
    last_id: uuid.UUID | None


class VariableShape(BaseModel):
    name: str
    label: str
    kind: Literal["text", "long_text", "choice", "number", "date", "yes_no"]
    help: str
    required: bool = Field(..., description="Has to be given, unless it has a default.")
    default: str
    choices: list[str]
    minimum: str | None = Field(..., description="A number's least value, or a text's characters.")
    maximum: str | None = Field(..., description="A number's greatest value, or a text's characters.")


class PromptShape(BaseModel):
    prompt: str = Field(..., description="What a call names it by.")
    name: str
    description: str
    variables: list[VariableShape]


class PromptList(BaseModel):
    data: list[PromptShape]


class Fault(BaseModel):
    """Every error, in the shape of the Claude API."""

    type: Literal["error"]
    error: Error
    request_id: str


# One server-sent event of `GET /api/calls/<id>/events`.
EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": ["started", "text", "status", "ended"]},
        "data": {"type": "string", "description": "As JSON: the attempt, a piece of text, or the call's status."},
        "id": {"type": "string"},
    },
    "required": ["event", "data"],
}
