"""The catalogue as the SDK reads it."""

from __future__ import annotations

import anthropic
import pytest
from anthropic.types import ModelInfo

from core.simulator.catalogue import MODELS


def test_every_model_is_complete_and_of_the_sdks_shape(client: anthropic.Anthropic) -> None:
    listed = list(client.models.list(lifecycle=["active", "deprecated", "retired"]))
    assert [model.id for model in listed] == [model.id for model in MODELS]
    for model in listed:
        ModelInfo.model_validate(model.to_dict(), strict=False)
        assert model.line in ("haiku", "sonnet", "opus", "fable", "mythos")
        assert model.max_input_tokens
        assert model.max_tokens
        assert model.capabilities is not None
        assert model.capabilities.batch.supported


def test_retired_models_are_listed_only_on_request(client: anthropic.Anthropic) -> None:
    usual = {model.lifecycle for model in client.models.list()}
    assert usual == {"active", "deprecated"}
    assert {model.lifecycle for model in client.models.list(lifecycle=["retired"])} == {"retired"}


def test_lifecycle_and_dates_agree(client: anthropic.Anthropic) -> None:
    for model in client.models.list(lifecycle=["active", "deprecated", "retired"]):
        assert (model.deprecated_at is None) == (model.lifecycle == "active")
        assert (model.retires_at is None) == (model.lifecycle == "active")


def test_pages_follow_one_another(client: anthropic.Anthropic) -> None:
    whole = [model.id for model in client.models.list()]
    assert [model.id for model in client.models.list(limit=3)] == whole
    assert len(client.models.list(limit=3).data) == 3
    after = client.models.list(after_id=whole[1], limit=2)
    assert [model.id for model in after.data] == whole[2:4]
    before = client.models.list(before_id=whole[4], limit=2)
    assert [model.id for model in before.data] == whole[2:4]
    assert before.has_more


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1001}, {"after_id": "nobody"}, {"limit": "x"}])
def test_a_bad_cursor_is_refused(client: anthropic.Anthropic, query: dict[str, object]) -> None:
    with pytest.raises(anthropic.BadRequestError):
        client.models.list(extra_query=query)


def test_one_model_is_found_by_id_or_alias_and_retired_ones_too(client: anthropic.Anthropic) -> None:
    assert client.models.retrieve("claude-opus-5-5").display_name == "Claude Opus 5.5"
    assert client.models.retrieve("claude-haiku-4-5").id == "claude-haiku-4-5-20251001"
    assert client.models.retrieve("claude-sonnet-4-20250514").lifecycle == "retired"
    with pytest.raises(anthropic.NotFoundError):
        client.models.retrieve("claude-opus-9")
