"""Does a message become an exchange, in the branch it belongs to, once, and with the right things sent along?"""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.utils import timezone

from core.chat import window
from core.chat.errors import ChatError, FullError, StillAnsweringError
from core.chat.files import read, tokens_of_text
from core.chat.requests import OPENING, SUMMARISE
from core.chat.say import Message, again, begin, edit, say, summarise
from core.chat.tree import tree_of
from core.chat.window import Room
from core.costs.budgets import OverBudgetError
from core.models import Attachment, Budget, Call, Conversation, CostRecord, StoredFile, SystemPrompt, Turn, User
from core.routing.choose import UnknownModelError
from tests.chat.conftest import PDF, Say, answer, png


def texts(turn: Turn) -> list[tuple[str, str]]:
    """Who says what in the request that was made for a turn."""
    request = turn.call.request
    return [
        (message["role"], " ".join(block.get("text", block["type"]) for block in message["content"]))
        for message in request["messages"]
    ]


def marked(turn: Turn) -> int:
    blocks = [block for message in turn.call.request["messages"] for block in message["content"]]
    return sum("cache_control" in block for block in [*blocks, *turn.call.request.get("system", [])])


def test_the_first_message_begins_a_conversation_with_its_words_as_title(chatting: Say, member: User) -> None:
    turn = chatting("Where   does the\nriver Elbe begin, and through which of the towns does it flow to the sea?")

    assert turn.conversation.title == "Where does the river Elbe begin, and through which of the …"
    assert turn.call.status == Call.Status.SUCCEEDED
    assert turn.call.door == Call.Door.CHAT
    assert turn.call.user == member
    assert turn.call.text
    assert turn.call.cost is not None


def test_the_next_message_carries_what_was_said_before(chatting: Say) -> None:
    first = chatting('[[simulate: answer="Two."]] One?')
    second = chatting("Three?", after=first)

    assert texts(second) == [("user", '[[simulate: answer="Two."]] One?'), ("assistant", "Two."), ("user", "Three?")]


def test_saying_the_same_twice_says_it_once(chatting: Say, member: User) -> None:
    first = chatting("One?", token="a")
    assert begin(member, None, Message("One?", token="a")) == first
    second = chatting("Two?", after=first, token="b")
    assert say(first.conversation, first, Message("Two?", token="b")) == second

    assert Conversation.objects.count() == 1
    assert Call.objects.count() == 2


def test_one_answer_at_a_time(ready_made: None, member: User) -> None:
    turn = begin(member, None, Message("One?"))
    with pytest.raises(StillAnsweringError):
        say(turn.conversation, None, Message("Two?"))
    assert Call.objects.count() == 1


def test_another_answer_and_other_words_stand_beside_the_first(chatting: Say) -> None:
    first = chatting("One?")
    second = chatting("Two?", after=first)
    other = answer(again(second))
    edited = answer(edit(second, Message("Three?")))
    after = chatting("Four?", after=other)

    tree = tree_of(first.conversation)
    assert tree.beside(second.pk) == [second.pk, other.pk, edited.pk]
    assert tree.branch(other.pk) == [first.pk, other.pk, after.pk]
    assert tree.branch(first.pk) == [first.pk, edited.pk]
    assert texts(edited)[-1] == ("user", "Three?")
    assert [said for _, said in texts(after)][::2] == ["One?", "Two?", "Four?"]


def test_what_failed_without_a_word_is_not_sent_again(chatting: Say) -> None:
    first = chatting("One?")
    failed = chatting("[[simulate: status=400]] Two?", after=first)
    assert failed.call.status == Call.Status.FAILED
    third = chatting("Three?", after=failed)

    assert [said for _, said in texts(third)][::2] == ["One?", "Three?"]
    assert third.call.status == Call.Status.SUCCEEDED


@pytest.mark.parametrize(
    ("text", "problem"), [("", "write something"), ("  \n ", "write something"), ("x" * 400_001, "400,000 characters")]
)
def test_what_cannot_be_said_is_refused_and_nothing_is_kept(
    ready_made: None, member: User, text: str, problem: str
) -> None:
    with pytest.raises(ChatError, match=problem):
        begin(member, None, Message(text))
    assert not Conversation.objects.exists()
    assert not Call.objects.exists()


def test_a_nul_is_no_reason_to_fail(chatting: Say) -> None:
    assert chatting("a\x00b").text == "a\ufffdb"


def test_a_model_that_is_gone_is_refused(ready_made: None, member: User) -> None:
    with pytest.raises(UnknownModelError):
        begin(member, None, Message("One?"), "no-such-model")
    assert not Conversation.objects.exists()


def test_a_budget_without_room_refuses_and_nothing_is_kept(ready_made: None, member: User) -> None:
    Budget.objects.create(
        name="Small", scope="user", user=member, amount=Decimal("0.0001"), owner=member, starts_on=timezone.localdate()
    )
    with pytest.raises(OverBudgetError):
        begin(member, None, Message("One?"))
    assert not Conversation.objects.exists()


def test_a_long_chat_reads_from_the_cache_what_was_sent_before(chatting: Say) -> None:
    first = chatting(f"Please remember this: {'The tower is tall and old. ' * 400}")
    second = chatting("How tall?", after=first)
    third = chatting("How old?", after=second)

    records = [CostRecord.objects.get(call=turn.call) for turn in (first, second, third)]
    whole = [record.input_tokens + record.cache_write_5m_tokens + record.cache_read_tokens for record in records]  # type: ignore[operator]
    assert records[0].cache_write_5m_tokens == whole[0] > 2000
    # All that the request before had sent, whatever its answer was.
    assert records[1].cache_read_tokens == whole[0]
    assert records[2].cache_read_tokens == whole[1]
    assert [record.input_tokens for record in records] == [0, 0, 0]
    assert all(record.saved_by_cache and record.saved_by_cache > 0 for record in records[1:])
    assert records[2].amount is not None
    assert records[0].amount is not None
    assert records[2].amount < records[0].amount
    assert [marked(turn) for turn in (first, second, third)] == [1, 2, 2]


def test_another_answer_reads_the_whole_message_from_the_cache(chatting: Say) -> None:
    first = chatting(f"Please remember this: {'The mill is low and new. ' * 400}")
    other = answer(again(first))
    record = CostRecord.objects.get(call=other.call)
    assert record.cache_read_tokens == CostRecord.objects.get(call=first.call).cache_write_5m_tokens


def test_a_system_prompt_of_the_library_goes_along_as_it_was_chosen(ready_made: None, member: User) -> None:
    prompt = SystemPrompt.objects.create(name="Brief", text="Be brief.", in_chat=True)
    turn = answer(begin(member, None, Message("One?"), "", prompt.current_version()))
    prompt.text = "Be long."
    prompt.save()
    second = answer(say(turn.conversation, turn, Message("Two?")))

    assert second.call.request["system"][0]["text"] == "Be brief."
    assert marked(second) == 3


def test_files_go_along_and_again_with_each_message_and_are_kept_once(chatting: Say) -> None:
    picture, pdf, text = read("a.png", png()), read("b.pdf", PDF), read("c.txt", "Grüße".encode("cp1252"))
    first = chatting("What is this?", files=[picture, pdf, text])
    second = chatting("And again?", after=first, files=[picture])

    assert first.call.status == second.call.status == Call.Status.SUCCEEDED, second.call.error_message
    assert [attachment.name for attachment in first.attachments.all()] == ["a.png", "b.pdf", "c.txt"]
    blocks = first.call.request["messages"][0]["content"]
    assert [block["type"] for block in blocks] == ["image", "document", "document", "text"]
    # The request of each message names them; their bytes are there once.
    assert blocks[0]["source"]["data"] == {"omitted": len(png()), "file": picture_digest(first)}
    assert first.attachments.get(name="a.png").file == second.attachments.get(name="a.png").file
    known = CostRecord.objects.get(call=second.call)
    assert known.cache_read_tokens is not None
    assert known.cache_read_tokens > 500


def picture_digest(turn: Turn) -> str:
    return turn.attachments.get(name="a.png").file_id


def test_a_file_that_is_not_kept_any_more_does_not_stop_the_chat(chatting: Say, member: User) -> None:
    turn = begin(member, None, Message("What is this?", [read("a.png", png())]), "claude-haiku-5-5")
    Attachment.objects.all().delete()
    StoredFile.objects.all().delete()
    assert answer(turn).call.status == Call.Status.SUCCEEDED


def after_four(chatting: Say, words: str) -> Turn:
    """The last of four exchanges, each with its number in these words."""
    turn = None
    for number in range(4):
        turn = chatting(words.format(number), after=turn)
    assert turn is not None
    return turn


class TestTooLong:
    """Claude says that it is too long, where by our own count it is not."""

    @pytest.fixture
    def refused(self, chatting: Say) -> Turn:
        turn = after_four(chatting, "{}?")
        said = 'type=invalid_request_error message="prompt is too long: 210000 tokens > 200000 maximum"'
        refused = chatting(f"[[simulate: status=400 {said}]] And now?", after=turn)
        assert window.too_long(refused)
        return refused

    def test_the_oldest_may_be_left_out_until_it_fits(self, chatting: Say, refused: Turn) -> None:
        half = chatting("Again?", after=refused, leave_out=True)
        assert [said for who, said in texts(half) if who == "user"] == ["2?", "3?", "Again?"]
        assert len(texts(chatting("And more?", after=half, leave_out=True))) == 7
        edited = answer(edit(refused, Message("Shorter?", leave_out=True)))
        assert len(texts(edited)) == 5

    def test_a_summary_is_of_what_fits(self, refused: Turn) -> None:
        summary = answer(summarise(refused.conversation, refused))
        assert [said for who, said in texts(summary) if who == "user"] == ["2?", "3?", SUMMARISE]

    def test_nothing_is_left_out_that_nobody_said(self, chatting: Say, refused: Turn) -> None:
        assert len(texts(chatting("Again?", after=refused))) == 9


@pytest.mark.parametrize(("sign", "tokens"), [("a", 10), ("é", 20), ("塔", 30), ("", 0)])
def test_a_sign_of_another_script_is_more_tokens_than_a_letter(sign: str, tokens: int) -> None:
    assert tokens_of_text(sign * 35) == tokens


class TestFull:
    """A window of 1,000 tokens, so that nobody has to talk for hours."""

    @pytest.fixture(autouse=True)
    def small(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(window, "room_of", lambda *_: Room(1000, 200))

    @pytest.fixture
    def long(self, chatting: Say) -> Turn:
        return after_four(chatting, '[[simulate: answer="Yes, {0}."]] {0} ' + "word " * 150)

    def test_what_does_not_fit_is_a_persons_decision(self, chatting: Say, long: Turn) -> None:
        with pytest.raises(FullError, match="summary"):
            chatting("word " * 400, after=long)

    def test_what_is_too_long_by_itself_is_told_so(self, chatting: Say) -> None:
        with pytest.raises(FullError, match="by itself"):
            chatting("word " * 1000)

    def test_the_oldest_may_be_left_out_and_stay_out(self, chatting: Say, long: Turn) -> None:
        next_one = chatting(f"And now? {'word ' * 120}", after=long, leave_out=True)
        assert next_one.since is not None
        asked = [said for who, said in texts(next_one) if who == "user"]
        assert 1 < len(asked) < 5
        assert asked[-1].startswith("And now?")

        further = chatting("More?", after=next_one)
        assert [said for who, said in texts(further) if who == "user"][:-1] == asked
        # From a branch before the cut, everything is there.
        assert answer(again(long)).since is None

    def test_what_was_left_out_does_not_fill_the_window_any_more(self, chatting: Say, long: Turn) -> None:
        said = f"[[simulate: status=400]] And now? {'word ' * 180}"
        with pytest.raises(FullError):
            chatting(said, after=long)
        cut = chatting(said, after=long, leave_out=True)
        assert 1 < len(texts(cut)) < 9
        assert texts(answer(again(cut))) == texts(cut)
        assert len(texts(chatting("Shorter?", after=cut, leave_out=True))) == len(texts(cut))

    def test_a_system_prompt_fills_the_window_once(self, ready_made: None, member: User) -> None:
        version = SystemPrompt.objects.create(name="Long", text="Brief. " * 250, in_chat=True).current_version()
        first = answer(begin(member, None, Message("One?"), system=version))
        assert say(first.conversation, first, Message("Two?")).since is None

    def test_a_summary_takes_the_place_of_what_was_before(self, chatting: Say, long: Turn) -> None:
        summary = answer(summarise(long.conversation, long))
        assert texts(summary)[-1] == ("user", SUMMARISE)
        assert summary.call.cost is not None

        after = chatting("And now?", after=summary)
        assert texts(after) == [("user", f"{OPENING}{summary.call.text.strip()} And now?")]
        later = chatting("More?", after=after)
        assert len(texts(later)) == 3
        assert texts(later)[0] == texts(after)[0]
