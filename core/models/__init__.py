"""What is stored? One file per family of tables."""

from core.models.calls import Call
from core.models.catalogue import ClaudeModel, Price
from core.models.ledger import CostRecord
from core.models.people import User
from core.models.prompts import Prompt, PromptVersion, SystemPrompt, SystemPromptVersion, Variable

__all__ = [
    "Call",
    "ClaudeModel",
    "CostRecord",
    "Price",
    "Prompt",
    "PromptVersion",
    "SystemPrompt",
    "SystemPromptVersion",
    "User",
    "Variable",
]
