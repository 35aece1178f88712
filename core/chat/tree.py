"""Which exchanges lead to this one, and which others are beside it?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.models import Conversation, Turn


@dataclass(frozen=True)
class Tree:
    """How a conversation's turns hang together, without what was said in them."""

    parents: Mapping[int, int | None]
    children: Mapping[int | None, Sequence[int]]

    @property
    def newest(self) -> int | None:
        return max(self.parents, default=None)

    def path(self, turn: int | None) -> list[int]:
        """From the first exchange to this one."""
        found: list[int] = []
        while turn is not None:
            found.append(turn)
            turn = self.parents[turn]
        return found[::-1]

    def branch(self, turn: int | None) -> list[int]:
        """From the first exchange through this one to the newest that goes on from it."""
        found = self.path(turn)
        while found and (going_on := self.children.get(found[-1])):
            found.append(going_on[-1])
        return found

    def beside(self, turn: int) -> Sequence[int]:
        """This and the others with the same parent, the oldest first: other answers, other words."""
        return self.children[self.parents[turn]]


def tree_of(conversation: Conversation) -> Tree:
    """One query, whatever was said."""
    parents = dict(conversation.turns.order_by("pk").values_list("pk", "parent_id"))
    children: dict[int | None, list[int]] = defaultdict(list)
    for turn, parent in parents.items():
        children[parent].append(turn)
    return Tree(parents, children)


def turns_at(path: Sequence[int]) -> list[Turn]:
    """The turns of a path in its order, with all that a page or a request needs of them."""
    related = Turn.objects.filter(pk__in=path).select_related("call").prefetch_related("attachments")
    found = {turn.pk: turn for turn in related}
    return [found[pk] for pk in path if pk in found]
