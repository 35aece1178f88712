"""How does somebody chat over a WebSocket?

The socket only passes on: what is said becomes a call in the queue like any other, and what is heard is what its page
would hear. So a socket that breaks loses nothing, and whoever comes back hears the whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from channels.generic.websocket import AsyncWebsocketConsumer
from django.db import Error

from core.live.relay import hear
from core.live.tasks import end
from core.sockets import talking
from core.sockets.entry import StrangerError, request_of
from core.sockets.frames import Command, EventFrames, Frames, TextFrames, UnreadableError
from core.sockets.talking import KINDS, MissingError, Said

log = logging.getLogger(__name__)

# Seconds without a frame or a word of an answer after which a socket is closed: a client that vanished does not say so,
# and an answer may have to wait for days. And after which it is asked once more who has opened it, whatever is said.
IDLE, ASKED_ANEW = 900.0, 300.0
# Seconds between two signs of life; proxies on the way close what is silent.
PING = 25.0
# Messages that may wait while an earlier one is answered; each may be as large as a frame.
MOST_WAITING = 32
# Codes of closing that say why: nothing came for long, a frame of bytes, nobody who may speak here any more, too many
# messages that wait.
AWAY, BYTES, STRANGER, TOO_MANY = 4408, 1003, 4401, 4429
BROKEN = "Something went wrong in this server. What was answered is heard by «resume»."


class ChatSocket(AsyncWebsocketConsumer):  # type: ignore[misc]
    """One open socket; a message is answered before the next one is read, but for «stop»."""

    frames: Frames
    answering: asyncio.Task[None] | None = None
    beating: asyncio.Task[None] | None = None
    saying: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        self.request = request_of(self.scope)
        self.waiting: asyncio.Queue[Command] = asyncio.Queue(MOST_WAITING)
        self.frames = EventFrames() if self.request.GET.get("format") == "events" else TextFrames()
        try:
            self.conversation = await talking.enter(self.request)
        except (StrangerError, MissingError) as error:
            log.info("a socket was refused: %s", error)
            # Before it is accepted that is an answer of 403.
            await self.close()
            return
        await self.accept(headers=[(b"x-claudeapp-conversation", str(self.conversation).encode())])
        self.active = asyncio.get_running_loop().time()
        self.beating = asyncio.create_task(self._beat())
        await self._tell(self.frames.ready(str(self.conversation)))
        if self.request.GET.get("resume"):
            await self._carry_out(Command("resume"))

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        self.active = asyncio.get_running_loop().time()
        if text_data is None or bytes_data is not None:
            await self._end(BYTES)
            return
        try:
            await self._carry_out(self.frames.read(text_data))
        except UnreadableError as error:
            await self._tell(*self.frames.failed(KINDS[UnreadableError], str(error)))

    async def disconnect(self, code: int) -> None:  # noqa: ARG002 - Channels' signature
        """The call goes on without us; what was not begun goes with the client."""
        for task in (self.saying, self.answering, self.beating):
            await end(task)

    async def _carry_out(self, command: Command) -> None:
        if command.kind == "stop":
            await self._guarded(command, self._stop())
            return
        if isinstance(self.frames, TextFrames):
            await self._queue(command)
            return
        await self._guarded(command, self._begin(command))

    async def _queue(self, command: Command) -> None:
        """What a script sends in one go is answered one after another. Frames are read on, to see when it leaves."""
        if self.waiting.full():
            await self._end(TOO_MANY)
            return
        self.waiting.put_nowait(command)
        if self.saying is None:
            self.saying = asyncio.create_task(self._say_what_waits())

    async def _say_what_waits(self) -> None:
        # A client that has gone is seen by whoever reads its frames.
        with contextlib.suppress(OSError):
            while True:
                command = await self.waiting.get()
                await self._guarded(command, self._begin(command))
                await self._until_answered()

    async def _end(self, code: int) -> None:
        """Close the socket; what waits is not begun any more."""
        await end(self.saying)
        await self.close(code)

    async def _until_answered(self) -> None:
        if self.answering is not None:
            await asyncio.wait([self.answering])

    async def _guarded(self, command: Command, work: Any) -> None:
        """Tell the client why something was refused, in the API's words."""
        try:
            await work
        except StrangerError as error:
            await self._tell(*self.frames.failed(KINDS[StrangerError], "This key or session opens nothing any more."))
            log.info("a socket was closed: %s", error)
            await self.close(STRANGER)
        except tuple(KINDS) as error:
            kind = next(word for known, word in KINDS.items() if isinstance(error, known))
            await self._tell(*self.frames.failed(kind, str(error), command.token))
        except OSError:
            # The client has gone while it was told something.
            raise
        except Exception as error:
            log.exception("a socket's message could not be dealt with")
            await self._excuse(error, command.token)

    async def _begin(self, command: Command) -> None:
        if command.kind == "resume":
            said = await talking.find(self.request, self.conversation, command.turn)
            if said is None:
                await self._tell(*self.frames.failed("not_found_error", "Nothing was said here yet."))
                return
            # What was heard until now is heard no more, now that there is something to hear in its place.
            if self.answering is not None:
                self.answering.cancel()
        else:
            said = await talking.speak(self.request, self.conversation, command)
        # There is one answer at a time, so the one before has ended, and its last words are on their way.
        await self._until_answered()
        self.conversation = said.conversation
        await self._tell(self.frames.begun(said.turn, str(said.call), command.token))
        self.answering = asyncio.create_task(self._answer(said, command.after))

    async def _stop(self) -> None:
        if not await talking.stop(self.request, self.conversation):
            await self._tell(*self.frames.failed("api_error", "The answer cannot be stopped at this moment."))

    async def _answer(self, said: Said, after: str) -> None:
        """Pass on what is heard of a call until it has ended."""
        try:
            async with contextlib.aclosing(hear(said.call, after)) as hearing:
                async for heard in hearing:
                    if heard.kind == "text":
                        self.active = asyncio.get_running_loop().time()
                    await self._tell(*self.frames.heard(*heard))
            await self._tell(*self.frames.ended(await talking.outcome(said)))
        except OSError:
            # The client has gone while it was told something.
            return
        except Exception as error:
            # Nobody else hears of it, and the client waits for a last word.
            log.exception("nobody knows how call %s ended", said.call)
            await self._excuse(error)

    async def _excuse(self, error: Exception, token: str = "") -> None:
        """Say that it is not the client's fault, as far as it is still there."""
        told = "This server cannot reach its database at the moment." if isinstance(error, Error) else BROKEN
        with contextlib.suppress(OSError):
            await self._tell(*self.frames.failed("api_error", told, token))

    async def _beat(self) -> None:
        """Show that the server lives, and close what nobody uses, or nobody may use any more."""
        clock = asyncio.get_running_loop().time
        asked = clock()
        with contextlib.suppress(OSError):
            while True:
                await asyncio.sleep(PING)
                if clock() - self.active > IDLE:
                    await self.close(AWAY)
                    return
                if clock() - asked > ASKED_ANEW:
                    asked = clock()
                    if not await talking.may_stay(self.request):
                        await self.close(STRANGER)
                        return
                await self._tell(self.frames.ping())

    async def _tell(self, *frames: str) -> None:
        for frame in frames:
            if frame:
                await self.send(text_data=frame)
