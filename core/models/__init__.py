"""What is stored? One file per family of tables."""

from core.models.attempts import FailedAttempt, IdempotencyToken
from core.models.batches import Batch, BatchPart, BatchRow
from core.models.budgets import Budget, BudgetNotice, BudgetRequest, BudgetWindow, Reservation
from core.models.bulk import BulkRun, CorrectedLine, SkippedLine, UploadPiece
from core.models.calls import Call
from core.models.catalogue import ClaudeModel, Price
from core.models.chat import Attachment, Conversation, StoredFile, Turn
from core.models.fallbacks import FallbackChain, FallbackStep
from core.models.housekeeping import Alarm, PausedQueue, RegularTask
from core.models.keys import Key, KeySecret
from core.models.ledger import CostRecord
from core.models.letters import Handling
from core.models.people import User
from core.models.prompts import Prompt, PromptVersion, SystemPrompt, SystemPromptVersion, Variable
from core.models.reconciliation import Reconciliation, ReconciliationLine
from core.models.rollups import ClosedMonth, PendingRollup, SpendRollup
from core.models.routing import (
    ClassifiedInput,
    Classifier,
    ClassifierLabel,
    LabelledExample,
    Measurement,
    ModelAlias,
    Route,
    RoutePublication,
    RouteVersion,
    RoutingState,
    Rule,
)

__all__ = [
    "Alarm",
    "Attachment",
    "Batch",
    "BatchPart",
    "BatchRow",
    "Budget",
    "BudgetNotice",
    "BudgetRequest",
    "BudgetWindow",
    "BulkRun",
    "Call",
    "ClassifiedInput",
    "Classifier",
    "ClassifierLabel",
    "ClaudeModel",
    "ClosedMonth",
    "Conversation",
    "CorrectedLine",
    "CostRecord",
    "FailedAttempt",
    "FallbackChain",
    "FallbackStep",
    "Handling",
    "IdempotencyToken",
    "Key",
    "KeySecret",
    "LabelledExample",
    "Measurement",
    "ModelAlias",
    "PausedQueue",
    "PendingRollup",
    "Price",
    "Prompt",
    "PromptVersion",
    "Reconciliation",
    "ReconciliationLine",
    "RegularTask",
    "Reservation",
    "Route",
    "RoutePublication",
    "RouteVersion",
    "RoutingState",
    "Rule",
    "SkippedLine",
    "SpendRollup",
    "StoredFile",
    "SystemPrompt",
    "SystemPromptVersion",
    "Turn",
    "UploadPiece",
    "User",
    "Variable",
]
