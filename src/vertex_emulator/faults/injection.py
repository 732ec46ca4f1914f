"""Injects planned faults into calls: the one place where HTTP meets the plan."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from vertex_emulator.core.clock import Clock
from vertex_emulator.core.timer import Timer
from vertex_emulator.faults.call_faults import (
    Cut,
    CutShort,
    Delay,
    ErrorReply,
    How,
    Interruption,
    RequestFault,
    Silence,
)
from vertex_emulator.faults.error_replies import build_html
from vertex_emulator.faults.plan import FaultPlan
from vertex_emulator.http.messages import ApiRequest, render_error
from vertex_emulator.http.routes import FaultTarget, Route
from vertex_emulator.http.server import CONNECTION
from vertex_emulator.identity.tokens import Tokens

logger = logging.getLogger(__name__)

NO_ANSWER = 0
"""Status of a call whose connection was cut."""

Perform = Callable[[], Response]


class FaultInjector:
    """Answers calls, with the faults that are planned for them.

    Args:
        plan: The planned faults.
        timer: Delays effects and answers.
        clock: Where time comes from.
        tokens: The tokens that can be made to expire.
    """

    def __init__(self, plan: FaultPlan, timer: Timer, clock: Clock, tokens: Tokens) -> None:
        self._plan = plan
        self._timer = timer
        self._clock = clock
        self._tokens = tokens
        self._waiting: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    async def answer(self, route: Route, request: ApiRequest, perform: Perform) -> Response:
        """The answer to a call.

        Args:
            route: The route that the call has come to.
            request: The call.
            perform: Makes the answer; run in a worker thread.
        """
        if self._plan.is_empty or route.fault_method is None:
            return await run_in_threadpool(perform)
        target = route.target_of(request)
        faults = self._plan.strike(target, self._clock.now())
        await self._let_pass(faults, after_effect=False)
        main = next((one for one in faults if not one.is_addition), None)
        if main is None:
            reply = await run_in_threadpool(perform)
        else:
            reply = await self._answer_hit(main, target, perform)
        await self._let_pass(faults, after_effect=True)
        return reply

    def release(self) -> None:
        """Send every answer that is being delayed, and hang up where none is to come."""
        for loop, event in list(self._waiting):
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(event.set)

    async def _answer_hit(
        self, fault: RequestFault, target: FaultTarget, perform: Perform
    ) -> Response:
        if fault.expires_tokens:
            self._tokens.expire()
        reply, effect_after = fault.build_reply(target), fault.effect_after
        answer = Response()
        if effect_after == 0:
            answer = await run_in_threadpool(perform)
        elif effect_after is not None:
            moment = self._clock.now() + timedelta(seconds=effect_after)
            self._timer.set(object(), moment, lambda: _perform_late(perform))
        if isinstance(reply, Silence):
            await self._wait_for_release()
            return _Cut("reset")
        return answer if reply is None else _render(reply, answer)

    async def _wait_for_release(self) -> None:
        waiting = asyncio.get_running_loop(), asyncio.Event()
        self._waiting.add(waiting)
        try:
            await waiting[1].wait()
        finally:
            self._waiting.discard(waiting)

    async def _let_pass(self, faults: tuple[RequestFault, ...], *, after_effect: bool) -> None:
        for fault in faults:
            if isinstance(fault, Delay) and fault.after_effect == after_effect:
                await self._delay(fault)
            elif isinstance(fault, Interruption) and fault.after_effect == after_effect:
                await run_in_threadpool(fault.act)

    async def _delay(self, fault: Delay) -> None:
        advance: Any = getattr(self._clock, "advance", None)
        if fault.clock == "advanced" and advance:
            await run_in_threadpool(advance, fault.seconds)
            return
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        self._waiting.add((loop, event))
        try:
            if fault.clock == "machine":
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(event.wait(), fault.seconds)
            else:
                moment = self._clock.now() + timedelta(seconds=fault.seconds)
                self._timer.set(event, moment, lambda: loop.call_soon_threadsafe(event.set))
                await event.wait()
        finally:
            self._timer.cancel(event)
            self._waiting.discard((loop, event))


def _render(reply: Cut | CutShort | ErrorReply, answer: Response) -> Response:
    """What a fault puts in the place of an answer."""
    if isinstance(reply, Cut):
        return _Cut(reply.how)
    if isinstance(reply, CutShort):
        return _CutShort(answer, reply.share)
    status = reply.error.http_status
    if reply.body == "json":
        rendered = render_error(reply.error)
    elif reply.body == "html":
        rendered = Response(build_html(status), status, media_type="text/html")
    else:
        rendered = Response(status_code=status)
    if reply.retry_after is not None:
        rendered.headers["Retry-After"] = str(reply.retry_after)
    return rendered


def _perform_late(perform: Perform) -> None:
    logger.debug("A call has its effect late: %s", perform().status_code)


class _Cut(Response):
    """No answer: the connection is cut."""

    def __init__(self, how: How) -> None:
        super().__init__(status_code=NO_ANSWER)
        self._how = how

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del send
        connection = scope[CONNECTION]
        if self._how == "reset":
            connection.reset()
        else:
            connection.close()
        await _wait_for_the_end(receive)


class _CutShort(Response):
    """A part of an answer, then the connection is cut."""

    def __init__(self, whole: Response, share: float) -> None:
        super().__init__(status_code=whole.status_code)
        self.raw_headers = whole.raw_headers
        self._sent = bytes(whole.body)[: int(len(whole.body) * share)]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code}
        await send({**start, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self._sent, "more_body": True})
        scope[CONNECTION].close()
        await _wait_for_the_end(receive)


async def _wait_for_the_end(receive: Receive) -> None:
    # uvicorn takes an application that returns before its answer has ended for broken.
    while (await receive())["type"] != "http.disconnect":
        pass
