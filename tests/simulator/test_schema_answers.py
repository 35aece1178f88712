"""JSON by a schema, with values from the text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from core.simulator.schema_answers import answer_schema

from .conftest import text_of

INVOICE = """From: Alpine Tools GmbH
Invoice number: INV-2031
Date: 2026-10-30
Total: 1,249.50 EUR, to be paid within 30 days to billing@alpine.example."""


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


STRING = {"type": "string"}


def test_an_answer_follows_the_schema_of_the_request(ask: Any) -> None:
    schema = closed(
        difficulty={"enum": ["simple", "medium", "complex"]},
        reason=STRING,
        confidence={"type": "number"},
        tags={"type": "array", "items": STRING},
        urgent={"type": "boolean"},
        parent={"anyOf": [STRING, {"type": "null"}]},
    )
    message = ask("Compare two plans.", output_config={"format": {"type": "json_schema", "schema": schema}})
    answer = json.loads(text_of(message))
    assert answer.keys() == schema["properties"].keys()
    assert answer["difficulty"] == "medium"
    assert 0 <= answer["confidence"] <= 1
    assert isinstance(answer["urgent"], bool)
    assert all(isinstance(tag, str) for tag in answer["tags"])


def test_an_invoice_is_read() -> None:
    schema = closed(
        vendor=STRING,
        invoice_number=STRING,
        date={"type": "string", "format": "date"},
        total={"type": "number"},
        currency=STRING,
        email={"type": "string", "format": "email"},
    )
    assert answer_schema(schema, INVOICE) == {
        "vendor": "Alpine Tools GmbH",
        "invoice_number": "INV-2031",
        "date": "2026-10-30",
        "total": 1249.50,
        "currency": "EUR",
        "email": "billing@alpine.example",
    }


def test_references_and_combinations_are_followed() -> None:
    schema = {
        **closed(
            owner={"$ref": "#/$defs/Person"}, kind={"const": "x"}, both={"allOf": [closed(a=STRING), closed(b=STRING)]}
        ),
        "$defs": {"Person": closed(name=STRING)},
    }
    answer = answer_schema(schema, "Name: Ann")
    assert answer["owner"] == {"name": "Ann"}
    assert answer["kind"] == "x"
    assert answer["both"].keys() == {"a", "b"}


def test_a_recursive_schema_comes_to_an_end() -> None:
    node = closed(name=STRING, next={"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]})
    assert answer_schema({"$ref": "#/$defs/Node", "$defs": {"Node": node}}, "One. Two.")["name"]


def test_list_items_come_from_the_lines_of_the_text() -> None:
    schema = closed(items={"type": "array", "items": closed(amount={"type": "number"})})
    answer = answer_schema(schema, "Items:\n- bolts for 3.50\n- nuts for 2")
    assert answer == {"items": [{"amount": 3.5}, {"amount": 2.0}]}


def test_an_option_named_in_the_text_is_chosen_and_a_degree_goes_by_the_size() -> None:
    assert answer_schema({"enum": ["billing", "delivery"]}, "The delivery is late") == "delivery"
    degrees = {"enum": ["easy", "medium", "hard"]}
    assert answer_schema(degrees, "Hello") == "easy"
    assert answer_schema(degrees, "Why? " + "Compare these contracts. " * 150) == "hard"


@pytest.mark.parametrize("text", ["", "x", "Ünïcödé ☃", "1" * 400, "- \n- \n"])
def test_any_text_gives_a_valid_answer(text: str) -> None:
    schema = closed(a=STRING, b={"type": "integer"}, c={"type": "number"}, d={"enum": ["x", "y"]}, e={"type": "null"})
    answer = answer_schema(schema, text)
    assert isinstance(answer["a"], str)
    assert isinstance(answer["b"], int)
    assert isinstance(answer["c"], float)
    assert answer["d"] in ("x", "y")
    assert answer["e"] is None
    json.dumps(answer, allow_nan=False)


def test_an_answer_given_by_directive_may_break_the_schema(ask: Any) -> None:
    output = {"format": {"type": "json_schema", "schema": closed(a=STRING)}}
    assert text_of(ask('[[simulate: answer="not JSON"]]', output_config=output)) == "not JSON"
