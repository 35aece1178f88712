"""Is this a JSON schema that a tool, or a structured output, may have?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.simulator.errors import invalid

TYPES = ("object", "array", "string", "integer", "number", "boolean", "null")
SHAPES: Mapping[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("properties", "$defs"), dict),
    **dict.fromkeys(("enum", "anyOf", "allOf", "oneOf", "required"), list),
    **dict.fromkeys(("$ref", "format", "description", "title", "pattern"), str),
    **dict.fromkeys(("minItems", "maxItems", "minLength", "maxLength"), int),
    **dict.fromkeys(("minimum", "maximum"), (int, float)),
    **dict.fromkeys(("items", "additionalProperties"), (dict, bool)),
    "type": (str, list),
}
# https://platform.claude.com/docs/en/build-with-claude/structured-outputs, JSON schema limitations
UNSUPPORTED_KEYWORDS: Mapping[str, tuple[str, ...]] = {
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "string": ("minLength", "maxLength"),
    "array": ("maxItems", "uniqueItems"),
    "object": ("minProperties", "maxProperties", "patternProperties"),
}


def check_tool_schema(schema: Any, path: str) -> None:
    """Refuses what is no JSON schema."""
    for inner, _ in walk(schema, path):
        if not _has_shape(inner):
            raise invalid(f"{path}: JSON schema is invalid. It must match JSON Schema draft 2020-12.")


def check_output_schema(schema: Any, path: str) -> None:
    """Refuses what is no JSON schema, and what structured outputs do not support."""
    check_tool_schema(schema, path)
    for inner, where in walk(schema, path):
        _check_supported(inner, where)


def walk(schema: Any, path: str) -> Iterator[tuple[Any, str]]:
    """The schema and all schemas in it, each with its path; what has no shape is not looked into."""
    yield schema, path
    if not isinstance(schema, dict) or not _has_shape(schema):
        return
    for keyword in ("properties", "$defs"):
        for name, inner in schema.get(keyword, {}).items():
            yield from walk(inner, f"{path}.{keyword}.{name}")
    for keyword in ("anyOf", "allOf", "oneOf"):
        for index, inner in enumerate(schema.get(keyword, ())):
            yield from walk(inner, f"{path}.{keyword}.{index}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}.items")


def _has_shape(schema: Any) -> bool:
    if isinstance(schema, bool):
        return True
    if not isinstance(schema, dict):
        return False
    wrong = [name for name, shape in SHAPES.items() if name in schema and not isinstance(schema[name], shape)]
    empty = [name for name in ("enum", "anyOf", "allOf", "oneOf") if schema.get(name) == []]
    kinds = schema.get("type", [])
    known = all(kind in TYPES for kind in ([kinds] if isinstance(kinds, str) else kinds if not wrong else ()))
    names = schema.get("required", []) if not wrong else []
    return not wrong and not empty and known and all(isinstance(name, str) for name in names)


def _check_supported(schema: Any, path: str) -> None:
    if not isinstance(schema, dict):
        raise invalid(f"{path}: Input should be a valid dictionary")
    kind = schema.get("type")
    if kind is None and not schema.keys() & {"enum", "const", "anyOf", "allOf", "$ref"}:
        raise invalid(f"{path}: Schema must have a 'type', 'enum', 'const', 'anyOf', 'allOf' or '$ref'.")
    if kind == "object" and schema.get("additionalProperties") is not False:
        raise invalid(f"{path}: For 'object' type, 'additionalProperties' must be explicitly set to false")
    for keyword in UNSUPPORTED_KEYWORDS.get(str(kind), ()):
        if keyword in schema:
            raise invalid(f"{path}: For '{kind}' type, property '{keyword}' is not supported")
