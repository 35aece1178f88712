"""How do the SDK's parameter types become a strict validator?

The SDK's TypedDicts cannot be handed to pydantic as they are: `Iterable[...]` fields would be validated lazily (that
is, never), unknown keys would be dropped, strings would be taken for numbers, and a union of twenty blocks would report
twenty errors. So `strict()` walks a type once and builds the same type again: lists for iterables, no extra keys,
strict scalars, and unions that are told apart by the kind of JSON value and then by their `type` (or `role`) field.
Nothing here knows any name of the API: a new SDK brings its new parameters with it.
"""

from __future__ import annotations

import datetime
import types
import typing
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import typing_extensions as te
from pydantic import ConfigDict, Discriminator, Field, Tag, create_model

MARK = "@"  # begins the tags that are no part of an error's path, see `validation.render_path`
UNIONS: tuple[Any, ...] = (typing.Union, types.UnionType)
LITERAL: Any = te.Literal
REQUIRED: Any = te.Required
SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}


def strict(annotation: Any, seen: dict[Any, Any] | None = None) -> Any:
    """The same JSON type, strict: unknown keys, wrong kinds and unknown tags are errors."""
    seen = {} if seen is None else seen
    annotation = _bare(annotation)
    if te.is_typeddict(annotation):
        return _strict_dict(annotation, seen)
    if te.get_origin(annotation) in UNIONS:
        return _strict_union(te.get_args(annotation), seen)
    if te.get_origin(annotation) not in (None, LITERAL):
        return _strict_container(te.get_origin(annotation), te.get_args(annotation), seen)
    if annotation is datetime.datetime:
        return te.Annotated[annotation, Field(strict=False)]
    return Any if annotation is object else annotation


def _strict_container(origin: Any, arguments: Sequence[Any], seen: dict[Any, Any]) -> Any:
    """A dict, or a list for every kind of iterable."""
    item = strict(arguments[-1], seen)
    return dict.__class_getitem__((str, item)) if origin is dict else list.__class_getitem__(item)


def _bare(annotation: Any) -> Any:
    """Without `Required[...]`, `NotRequired[...]` and `Annotated[...]`."""
    while te.get_origin(annotation) in (te.Required, te.NotRequired, te.Annotated):
        annotation = te.get_args(annotation)[0]
    return annotation


def _strict_dict(typed_dict: Any, seen: dict[Any, Any], extra: Literal["forbid", "allow"] = "forbid") -> Any:
    if (typed_dict, extra) not in seen:
        fields: dict[str, Any] = {f"field_{number}": field for number, field in enumerate(_fields(typed_dict, seen))}
        config = ConfigDict(extra=extra, strict=True, protected_namespaces=())
        seen[typed_dict, extra] = create_model(typed_dict.__name__, __config__=config, **fields)
    return seen[typed_dict, extra]


def _fields(typed_dict: Any, seen: dict[Any, Any]) -> Iterable[tuple[Any, Any]]:
    """Numbered attributes under the JSON names as aliases: names such as `schema` or `json` belong to pydantic."""
    for name, hint in te.get_type_hints(typed_dict, include_extras=True).items():
        required = te.get_origin(hint) is REQUIRED
        yield strict(hint, seen), Field(... if required else None, alias=_json_name(name, hint))


def _json_name(name: str, hint: Any) -> str:
    """The name on the wire: the SDK notes it where it differs from Python's."""
    while te.get_origin(hint) in (te.Required, te.NotRequired):
        hint = te.get_args(hint)[0]
    for note in getattr(hint, "__metadata__", ()):
        if alias := getattr(note, "alias", None):
            return str(alias)
    return name


def _strict_union(members: Sequence[Any], seen: dict[Any, Any]) -> Any:
    by_kind: dict[str, list[Any]] = {}
    for member in _flat(members):
        kind = _kind_of_type(member)
        if kind:
            by_kind.setdefault(kind, []).append(member)
    nullable = by_kind.pop("null", None) is not None
    choices = {kind: _one_kind(kinds, seen) for kind, kinds in by_kind.items()}
    if len(choices) == 1:
        result = next(iter(choices.values()))
    else:
        result = _tagged({MARK + kind: choice for kind, choice in choices.items()}, _json_tag(choices))
    return _any_of([result, None]) if nullable else result


def _flat(members: Sequence[Any]) -> Iterable[Any]:
    for member in map(_bare, members):
        if te.get_origin(member) in UNIONS:
            yield from _flat(te.get_args(member))
        else:
            yield member


def _kind_of_type(member: Any) -> str | None:
    """The kind of JSON value that a type describes; None for what never travels as JSON (files, model instances)."""
    origin = te.get_origin(member)
    if member is type(None):
        return "null"
    if te.is_typeddict(member) or origin is dict:
        return "object"
    if origin is LITERAL:
        return SCALARS[type(te.get_args(member)[0])]
    if isinstance(origin, type) and issubclass(origin, Iterable):
        return "array" if te.get_args(member)[0] is not bytes else None
    if member is datetime.datetime:
        return "string"
    return SCALARS.get(member)


def _one_kind(members: Sequence[Any], seen: dict[Any, Any]) -> Any:
    dicts = [member for member in members if te.is_typeddict(member)]
    if len(dicts) == 1 and len(members) > 1:  # `InputSchemaTyped | dict`: known keys are checked, others allowed
        return _strict_dict(dicts[0], seen, extra="allow")
    if dicts:
        return _one_object(dicts, seen)
    wide = [member for member in members if member in SCALARS]
    if wide:  # `Literal[...] | str` is a string: the literals are only there for editors
        return wide[0]
    return _any_of([strict(member, seen) for member in members])


def _one_object(dicts: Sequence[Any], seen: dict[Any, Any]) -> Any:
    if len(dicts) == 1:
        return strict(dicts[0], seen)
    for key in ("type", "role"):
        tags = {value: item for item in dicts for value in _literals(item, key)}
        if set(map(id, tags.values())) == set(map(id, dicts)):
            mark = "" if key == "type" else MARK
            choices = {mark + tag: strict(item, seen) for tag, item in tags.items()}
            return _tagged(choices, _object_tag(key, mark, _default_tag(dicts, key)))
    return _any_of([strict(item, seen) for item in dicts])


def _literals(typed_dict: Any, key: str) -> list[str]:
    hint = te.get_type_hints(typed_dict, include_extras=True).get(key)
    values = [_bare(part) for part in _flat([hint])] if hint is not None else []
    return [value for part in values if te.get_origin(part) is LITERAL for value in te.get_args(part)]


def _default_tag(dicts: Sequence[Any], key: str) -> str | None:
    """The tag of the one member whose tag may be left out (a custom tool)."""
    for item in dicts:
        hint = te.get_type_hints(item, include_extras=True)[key]
        if te.get_origin(hint) is not REQUIRED:
            return _literals(item, key)[0]
    return None


def _any_of(members: Iterable[Any]) -> Any:
    """`Union[...]` of types that are only known now, which `X | Y` cannot spell for all of them."""
    return typing.Union.__getitem__(tuple(members))


def _tagged(choices: dict[str, Any], discriminator: Discriminator) -> Any:
    return te.Annotated[_any_of([te.Annotated[choice, Tag(tag)] for tag, choice in choices.items()]), discriminator]


def _json_tag(kinds: Iterable[str]) -> Discriminator:
    known = list(kinds)

    def tag_of(value: Any) -> str | None:
        kind = _kind_of_value(value)
        if kind == "integer" and kind not in known and "number" in known:
            kind = "number"
        return MARK + kind if kind in known else None

    expected = " or ".join("list" if kind == "array" else kind for kind in known)
    return Discriminator(
        tag_of, custom_error_type="json_kind", custom_error_message=f"Input should be a valid {expected}"
    )


def _kind_of_value(value: Any) -> str:
    if isinstance(value, dict):
        return "object"
    if isinstance(value, list):
        return "array"
    return SCALARS.get(type(value), "null")


def _object_tag(key: str, mark: str, default: str | None) -> Discriminator:
    def tag_of(value: Any) -> str | None:
        tag = (value.get(key) or default) if isinstance(value, dict) else None
        return None if tag is None else f"{mark}{tag}"

    tag_of.__name__ = tag_of.__qualname__ = key  # pydantic names it in its errors
    return Discriminator(tag_of)
