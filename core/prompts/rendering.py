"""What is sent to Claude for these inputs?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.prompts.templates import fill, names_in
from core.prompts.variables import VariableSpec


def problems(content: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """The variables that the templates name but nobody defined, and those defined but never named."""
    named = names_in(content["system_text"], content["template"])
    defined = [variable["name"] for variable in content["variables"]]
    return [name for name in named if name not in defined], [name for name in defined if name not in named]


def specs(content: Mapping[str, Any]) -> list[VariableSpec]:
    return [VariableSpec.from_dict(values) for values in content["variables"]]


def render(content: Mapping[str, Any], inputs: Mapping[str, str]) -> dict[str, Any]:
    """The parameters of a Messages request, without `stream`.

    `content` has the shape of `Prompt.content()`; `inputs` maps each variable's name to its cleaned text.
    """
    values = {variable["name"]: inputs.get(variable["name"], "") for variable in content["variables"]}
    request: dict[str, Any] = {
        # A route's or an alias's name where one is set; `core.routing` says what it stands for.
        "model": content.get("asked") or content["model"],
        "max_tokens": content["max_tokens"],
        "messages": [{"role": "user", "content": fill(content["template"], values)}],
    }
    if content["system_text"]:
        request["system"] = fill(content["system_text"], values)
    output = {}
    if content["effort"]:
        output["effort"] = content["effort"]
    if content["output_schema"]:
        output["format"] = {"type": "json_schema", "schema": content["output_schema"]}
    if output:
        request["output_config"] = output
    return request
