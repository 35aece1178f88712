"""Which JSON answers this schema, with values drawn from the text?"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from core.simulator.reading import sentences, subject

Schema = Mapping[str, Any]
NUMBER = re.compile(r"(?<![\w.])-?\d{1,3}(?:[,']\d{3})+(?:\.\d+)?|(?<![\w.-])-?\d+(?:\.\d+)?(?![\w-])")
ISO_DATE = re.compile(r"\b(\d{4}-\d{2}-\d{2})\b")
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
URL = re.compile(r"https?://[^\s)\"'>]+")
CURRENCIES = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY", "chf": "CHF", "eur": "EUR", "usd": "USD", "gbp": "GBP"}
DEGREES = {
    **dict.fromkeys(("trivial", "simple", "easy", "low", "small", "short"), 0),
    **dict.fromkeys(("medium", "moderate", "normal", "standard", "average"), 1),
    **dict.fromkeys(("complex", "hard", "difficult", "high", "large", "long"), 2),
    **dict.fromkeys(("expert", "very_high", "critical", "very hard", "extreme"), 3),
}  # words of a scale, as classifiers use them
MAX_DEPTH = 8
LONGEST_NUMBER = 15  # characters; what is longer is no amount


@dataclass(frozen=True)
class _Source:
    """The text that values are drawn from, and the root schema that `$ref`s point into."""

    text: str
    root: Schema


def answer_schema(schema: Schema, text: str) -> Any:
    """A value valid for the schema; the same for the same text."""
    return _value(schema, "", _Source(text, schema), 0)


def stable_number(text: str, size: int) -> int:
    """A number in range(size) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:6], "big") % size


def _value(schema: Any, name: str, source: _Source, depth: int) -> Any:
    schema = _resolved(schema, source.root) if isinstance(schema, Mapping) else {}
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return _choose(schema["enum"], name, source.text)
    options = schema.get("anyOf") or schema.get("oneOf")
    if options:
        return _value(_preferred(options, depth), name, source, depth + 1)
    if schema.get("allOf"):
        return _value(_merged(schema, source.root), name, source, depth + 1)
    maker = MAKERS.get(_type_of(schema))
    return maker(schema, name, source, depth) if maker else None


def _resolved(schema: Schema, root: Schema) -> Schema:
    for _ in range(MAX_DEPTH):
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#"):
            break
        found: Any = root
        for part in reference.removeprefix("#").strip("/").split("/"):
            found = found.get(part, {}) if part and isinstance(found, Mapping) else found
        schema = found
    return schema


def _preferred(options: Sequence[Schema], depth: int) -> Schema:
    """The first option that is not null; deep inside a recursive schema the last one, which ends it."""
    if depth > MAX_DEPTH:
        return options[-1]
    return next((option for option in options if option.get("type") != "null"), options[0])


def _merged(schema: Schema, root: Schema) -> Schema:
    merged: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
    for part in schema["allOf"]:
        found = _resolved(part, root)
        merged = {
            **found,
            **merged,
            "properties": {**found.get("properties", {}), **merged.get("properties", {})},
            "required": [*found.get("required", []), *merged.get("required", [])],
        }
    return merged


def _type_of(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        return next((str(item) for item in kind if item != "null"), "null")
    if kind is None and "properties" in schema:
        return "object"
    return str(kind or "string")


def _choose(options: Sequence[Any], name: str, text: str) -> Any:
    """A degree by the text's size; else the option most of whose words stand in the text; else one by a stable hash."""
    degrees = {degree: option for option in options if (degree := DEGREES.get(str(option).lower())) is not None}
    if len(degrees) == len(options):
        return degrees[min(degrees, key=lambda degree: abs(degree - _difficulty(text)))]
    words = set(re.findall(r"\w+", text.lower()))
    scores = [len(words & set(re.findall(r"[^\W_]+", str(option).lower()))) for option in options]
    if max(scores) > 0:
        return options[scores.index(max(scores))]
    return options[stable_number(f"{name}|{text}", len(options))]


def _difficulty(text: str) -> int:
    """0 to 3: long texts and code are hard, and so is what asks for thought."""
    asks = re.search(r"\b(analy|compar|why|prove|strateg|design|architect|evaluat|legal|contract)", text.lower())
    return min(3, (len(text) > 400) + (len(text) > 2500) + bool(asks) + ("```" in text))


def _object(schema: Schema, _name: str, source: _Source, depth: int) -> dict[str, Any]:
    properties: Schema = schema.get("properties") or {}
    required = schema.get("required") or []
    wanted = properties if depth < MAX_DEPTH else [name for name in properties if name in required]
    result = {name: _value(properties[name], name, source, depth + 1) for name in wanted}
    for name in required:
        result.setdefault(name, subject(source.text))
    return result


def _array(schema: Schema, name: str, source: _Source, depth: int) -> list[Any]:
    items = schema.get("items") or {"type": "string"}
    least = int(schema.get("minItems", 0))
    if depth >= MAX_DEPTH:
        return [_value(items, name, source, depth + 1) for _ in range(least)]
    parts = _parts(source.text)[: max(least, min(3, int(schema.get("maxItems", 3))))]
    parts += [source.text] * (max(1, least) - len(parts))
    return [_value(items, name, _Source(part, source.root), depth + 1) for part in parts]


def _parts(text: str) -> list[str]:
    """List items or lines if there are several, else sentences."""
    lines = [line.strip(" -*•\t") for line in text.splitlines() if line.strip(" -*•\t")]
    listed = [line.strip(" -*•\t") for line in text.splitlines() if re.match(r"\s*(?:[-*•]|\d+[.)])\s", line)]
    return listed or (lines if len(lines) > 1 else sentences(text)) or [text]


def _number(schema: Schema, name: str, source: _Source, _depth: int) -> float:
    found = _named_number(name, source.text)
    if found is None:
        low = schema.get("minimum", 0)
        found = low + stable_number(name + source.text, 100) / (100 if _is_share(name) else 1)
    return _clamped(schema, found / 100 if _is_share(name) and 1 < found <= 100 else found)


def _integer(schema: Schema, name: str, source: _Source, _depth: int) -> int:
    found = _named_number(name, source.text)
    value = int(found) if found is not None else 1 + stable_number(name + source.text, 9)
    return int(_clamped(schema, value))


def _is_share(name: str) -> bool:
    return any(word in name.lower() for word in ("confidence", "probability", "score", "share"))


def _clamped(schema: Schema, value: float) -> float:
    value = max(value, schema.get("minimum", value))
    return float(min(value, schema.get("maximum", value)))


def _named_number(name: str, text: str) -> float | None:
    """The number after the property's name in the text; for an amount the largest, else the first."""
    words = name.replace("_", " ").lower()
    after = re.search(rf"\b{re.escape(words)}\b[^\d\n-]{{0,25}}({NUMBER.pattern})", text.lower()) if words else None
    if after and len(after.group(1)) <= LONGEST_NUMBER:
        return _to_float(after.group(1))
    plain = ISO_DATE.sub(" ", text)
    numbers = [_to_float(match) for match in NUMBER.findall(plain) if len(match) <= LONGEST_NUMBER]
    if not numbers or _is_share(name):
        return None
    return max(numbers) if any(word in words for word in ("total", "amount", "price", "sum")) else numbers[0]


def _to_float(text: str) -> float:
    return float(re.sub(r"[,']", "", text))


def _string(schema: Schema, name: str, source: _Source, _depth: int) -> str:
    text, lower = source.text, name.lower()
    if schema.get("format") in FORMATS:
        return FORMATS[schema["format"]](text)
    for key, finder in FINDERS.items():
        if key in lower and (found := finder(text)):
            return found
    labelled = re.search(rf"^\W*{re.escape(lower.replace('_', ' '))}\s*:\s*(.+)$", text, re.IGNORECASE | re.MULTILINE)
    if labelled and lower:
        return labelled.group(1).strip()
    return _bounded(schema, subject(text) or lower or "text")


def _bounded(schema: Schema, text: str) -> str:
    text = text.ljust(int(schema.get("minLength", 0)), ".")
    return text[: int(schema.get("maxLength", len(text)))]


def _first(pattern: re.Pattern[str]) -> Callable[[str], str]:
    return lambda text: match.group(0) if (match := pattern.search(text)) else ""


def _date(text: str) -> str:
    for match in ISO_DATE.findall(text):
        try:
            return date.fromisoformat(match).isoformat()
        except ValueError:
            continue
    return "2026-11-02"


def _currency(text: str) -> str:
    lower = text.lower()
    return next((code for sign, code in CURRENCIES.items() if sign in lower), "")


def _summary(text: str) -> str:
    return " ".join(sentences(text)[:2])


def _invoice_number(text: str) -> str:
    match = re.search(r"\b(?:[A-Z]{1,5}[-/#]?\d{2,}[\w/-]*|#\d+)\b", text)
    return match.group(0) if match else ""


def _sender(text: str) -> str:
    match = re.search(r"^\s*(?:from|vendor|supplier|seller|customer|name)\s*:\s*(.+)$", text, re.I | re.M)
    match = match or re.search(r"\b(?:[A-Z][\w&.-]+\s){1,3}(?:GmbH|AG|Inc|Ltd|LLC|SA|Corp)\b\.?", text)
    return match.group(match.lastindex or 0).strip() if match else ""


FORMATS: Mapping[str, Callable[[str], str]] = {
    "date": _date,
    "date-time": lambda text: f"{_date(text)}T09:00:00Z",
    "time": lambda _text: "09:00:00Z",
    "duration": lambda _text: "PT1H",
    "email": lambda text: _first(EMAIL)(text) or "someone@example.com",
    "uri": lambda text: _first(URL)(text) or "https://example.com/",
    "hostname": lambda _text: "example.com",
    "ipv4": lambda _text: "192.0.2.1",
    "ipv6": lambda _text: "2001:db8::1",
    "uuid": lambda text: f"00000000-0000-4000-8000-{stable_number(text, 16**12):012x}",
}
FINDERS: Mapping[str, Callable[[str], str]] = {
    "date": _date,
    "email": _first(EMAIL),
    "url": _first(URL),
    "currency": _currency,
    "number": _invoice_number,
    "vendor": _sender,
    "supplier": _sender,
    "customer": _sender,
    "sender": _sender,
    "summary": _summary,
    "reason": _summary,
    "explanation": _summary,
}
MAKERS: Mapping[str, Callable[[Schema, str, _Source, int], Any]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": lambda _schema, name, source, _depth: bool(stable_number(name + source.text, 2)),
}
