"""Lets faults happen to calls: the one place where HTTP meets the plan."""

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
from vertex_emulator.core.errors import ApiError
from vertex_emulator.core.timer import Timer
from vertex_emulator.faults.call_faults import (
    AnswerCut,
    AnswerLost,
    Delay,
    ErrorAnswer,
    How,
    Interruption,
    PermissionWithdrawn,
    QuotaExceeded,
    RequestFault,
    RequestLost,
    TokensExpired,
)
from vertex_emulator.faults.error_replies import (
    build_error,
    build_html,
    build_permission_error,
    build_quota_error,
)
from vertex_emulator.faults.plan import FaultPlan
from vertex_emulator.http.callers import Caller
from vertex_emulator.http.messages import ApiRequest, render_error
from vertex_emulator.http.routes import FaultTarget, Route
from vertex_emulator.http.server import CONNECTION
from vertex_emulator.identity.tokens import Tokens

logger = logging.getLogger(__name__)

NO_ANSWER = 0
"""Status of a call whose connection was cut."""

Perform = Callable[[], Response]


class FaultInjector:
    """Answers calls as the plan wants them answered.

    Args:
        plan: What is planned.
        timer: Lets effects and answers come later.
        clock: Where time comes from.
        tokens: Expire.
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
            perform: Answers it, in a thread of its own.
        """
        if self._plan.is_empty or route.fault_method is None:
            return await run_in_threadpool(perform)
        target = route.target_of(request)
        faults = self._plan.strike(target, self._clock.now())
        await self._let_pass(faults, after_effect=False)
        main = next((one for one in faults if not isinstance(one, Delay | Interruption)), None)
        reply = self._instead(main, target)
        if reply is None and isinstance(main, AnswerLost) and main.late:
            moment = self._clock.now() + timedelta(seconds=main.late)
            self._timer.set(object(), moment, lambda: _perform_late(perform))
            reply = _Cut(main.how)
        elif reply is None:
            reply = self._spoiled(main, await run_in_threadpool(perform))
        await self._let_pass(faults, after_effect=True)
        return reply

    def release(self) -> None:
        """Let no answer wait any longer."""
        for loop, event in list(self._waiting):
            with suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(event.set)

    def _instead(self, fault: RequestFault | None, target: FaultTarget) -> Response | None:
        """The answer of a call that has no effect; None for one that has."""
        if isinstance(fault, RequestLost):
            return _Cut(fault.how)
        if isinstance(fault, ErrorAnswer) and not fault.after_effect:
            return self._build_error(fault)
        if isinstance(fault, QuotaExceeded):
            return render_error(build_quota_error(fault))
        if isinstance(fault, PermissionWithdrawn):
            return render_error(build_permission_error(fault, target))
        if isinstance(fault, TokensExpired):
            self._tokens.expire()
            try:
                Caller(target.identity, is_expired=True).refuse_expired()
            except ApiError as error:
                return render_error(error)
        return None

    def _spoiled(self, fault: RequestFault | None, reply: Response) -> Response:
        """What comes of the answer of a call that has had its effect."""
        if isinstance(fault, AnswerLost):
            return _Cut(fault.how)
        if isinstance(fault, ErrorAnswer):
            return self._build_error(fault)
        if isinstance(fault, AnswerCut):
            return _CutShort(reply, fault.share)
        return reply

    def _build_error(self, fault: ErrorAnswer) -> Response:
        if fault.body == "json":
            reply = render_error(build_error(fault))
        elif fault.body == "html":
            reply = Response(build_html(fault), fault.status, media_type="text/html")
        else:
            reply = Response(status_code=fault.status)
        if fault.retry_after is not None:
            reply.headers["Retry-After"] = str(fault.retry_after)
        return reply

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


def _perform_late(perform: Perform) -> None:
    logger.debug("A call has its effect late: %s", perform().status_code)


class _Cut(Response):
    """No answer."""

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
    """A part of an answer."""

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
