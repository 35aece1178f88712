"""What the tests of the admin share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from core.models import Prompt, User


@pytest.fixture
def as_(client: Client) -> Callable[[User], Client]:
    """The test client, signed in as this person."""

    def sign_in(user: User) -> Client:
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def submission() -> Callable[..., dict[str, Any]]:
    """What the editor's form submits for a prompt as it is stored, with changes."""

    def fields(prompt: Prompt, **changes: Any) -> dict[str, Any]:
        variables = list(prompt.variables.all())
        data: dict[str, Any] = {
            "name": prompt.name,
            "slug": prompt.slug,
            "description": prompt.description,
            "system_prompt": prompt.system_prompt_id or "",
            "template": prompt.template,
            "model": prompt.model_id,
            "max_tokens": prompt.max_tokens,
            "effort": prompt.effort,
            "output_schema": "null",
            "run_again_if_lost": "on",
            "cache_minutes": prompt.cache_minutes,
            "access": prompt.access,
            "variables-TOTAL_FORMS": len(variables),
            "variables-INITIAL_FORMS": len(variables),
        }
        for number, variable in enumerate(variables):
            values = {**variable.as_dict(), "choices": variable.choices, "position": variable.position}
            data |= {f"variables-{number}-{key}": "" if value is None else value for key, value in values.items()}
            data |= {f"variables-{number}-id": variable.pk, f"variables-{number}-prompt": prompt.pk}
        return {**data, **changes}

    return fields
