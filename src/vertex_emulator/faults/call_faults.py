"""Faults of calls, as data: which call is hit, and what comes of it.

https://cloud.google.com/apis/design/errors for statuses; texts of refusals from public
reports.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

from vertex_emulator.core.errors import ApiError
from vertex_emulator.faults.error_replies import (
    build_error,
    build_permission_error,
    build_quota_error,
)
from vertex_emulator.faults.kinds import FaultKind, find_kinds, require, require_seconds
from vertex_emulator.http.callers import EXPIRED
from vertex_emulator.http.routes import FaultTarget

EVERY_METHOD = "*"
"""Each method of Google's APIs: of those whose callers need permissions."""

_LEAST_STATUS, _MOST_STATUS = 400, 599

How = Literal["reset", "close"]
"""How a connection is cut: by RST or by FIN."""

Body = Literal["json", "html", "empty"]
"""How an error is written: as Google's APIs do, as a proxy does, or without a body."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection is cut without a byte of an answer."""

    how: How


@dataclass(frozen=True, slots=True)
class CutShort:
    """The answer ends on the way, short of its Content-Length."""

    share: float
    """Part of the body that is sent; at least 0, less than 1."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing, until the client gives up."""


@dataclass(frozen=True, slots=True)
class ErrorReply:
    """An error."""

    error: ApiError
    body: Body = "json"
    retry_after: int | None = None
    """Value of the header Retry-After, in seconds; None for no header."""


Reply = Cut | CutShort | ErrorReply | Silence
"""What a client gets in place of the answer. A fault of calls says which of these it is."""


@dataclass(frozen=True, slots=True)
class RequestFault(FaultKind):
    """A fault of calls. It hits those that match all that is given.

    A kind of fault is a subclass with its fields, `effect_after` and `build_reply`.

    Args:
        method: Method of the call, as the routes of the emulator name it, or `*` for
            each one of the JobService and of Logging.
        call: The first matching call that is hit, counted from 1 since it was planned.
        count: How many are hit, from that one on; 0 for every one until the fault is
            withdrawn. By default 1, or with `lasts`, every one in that time.
        lasts: Seconds of the emulator's clock in which calls are hit, from the first
            hit on; more than 0, at most a year.
        identity: Owner of the token that the call bears.
        job_id: ID of the job that the call names.
        labels: Labels of the job or secret that the call names or creates.
        display_name: Display name of the job that the call names or creates.
        chance: Probability that a call that matches is hit, more than 0 and at most 1;
            drawn with the seed of the plan.
    """

    is_addition: ClassVar[bool] = False
    """Whether it comes on top of other faults; of those that do not, one hits a call."""

    expires_tokens: ClassVar[bool] = False
    """Whether every token issued so far becomes invalid."""

    method: str
    call: int = field(default=1, kw_only=True)
    count: int | None = field(default=None, kw_only=True)
    lasts: float | None = field(default=None, kw_only=True)
    identity: str | None = field(default=None, kw_only=True)
    job_id: str | None = field(default=None, kw_only=True)
    labels: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    display_name: str | None = field(default=None, kw_only=True)
    chance: float = field(default=1.0, kw_only=True)

    def __post_init__(self) -> None:
        require(self.call >= 1, "call", "at least 1")
        require(self.count is None or self.count >= 0, "count", "at least 0")
        require_seconds(self.lasts, "lasts", may_be_zero=False)
        require(0 < self.chance <= 1, "chance", "more than 0 and at most 1")

    @property
    def limit(self) -> int | None:
        """How many calls it hits; None for no limit."""
        if self.count is None:
            return 1 if self.lasts is None else None
        return self.count or None

    @property
    def effect_after(self) -> float | None:
        """When a call that is hit has its effect; None for never.

        In seconds of the emulator's clock from the reply; 0 for before it.
        """
        return 0.0

    def build_reply(self, target: FaultTarget) -> Reply | None:
        """What the client gets in place of the answer to a call; None for the answer."""
        del target
        return None

    def matches(self, target: FaultTarget) -> bool:
        """Whether it can hit a call."""
        if self.method == EVERY_METHOD:
            fits = target.host is not None
        else:
            fits = self.method == target.method
        return (
            fits
            and self.identity in {None, target.identity}
            and self.job_id in {None, target.job_id}
            and self.display_name in {None, target.display_name}
            and all(target.labels.get(key) == value for key, value in self.labels.items())
        )


@dataclass(frozen=True, slots=True)
class RequestLost(RequestFault):
    """The connection is cut before anything has happened, without a byte.

    Args:
        how: `reset` (RST) or `close` (FIN).
    """

    how: How = field(default="reset", kw_only=True)

    @property
    def effect_after(self) -> None:
        return None

    def build_reply(self, target: FaultTarget) -> Reply:
        del target
        return Cut(self.how)


@dataclass(frozen=True, slots=True)
class NoAnswer(RequestFault):
    """Nothing happens and nothing is answered, until the client gives up or the emulator ends."""

    @property
    def effect_after(self) -> None:
        return None

    def build_reply(self, target: FaultTarget) -> Reply:
        del target
        return Silence()


@dataclass(frozen=True, slots=True)
class AnswerLost(RequestFault):
    """The call has its effect, and the connection is cut without a byte of an answer.

    Args:
        how: `reset` (RST) or `close` (FIN).
        late: Seconds of the emulator's clock from the cut to the effect; at least 0,
            at most a year.
    """

    how: How = field(default="reset", kw_only=True)
    late: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        # `super()` does not find its class in a dataclass with slots.
        RequestFault.__post_init__(self)
        require_seconds(self.late, "late")

    @property
    def effect_after(self) -> float:
        return self.late

    def build_reply(self, target: FaultTarget) -> Reply:
        del target
        return Cut(self.how)


@dataclass(frozen=True, slots=True)
class ErrorAnswer(RequestFault):
    """The call is answered with an error.

    Args:
        status: HTTP status, 400 to 599.
        after_effect: Whether the call has had its effect.
        retry_after: Value of the header Retry-After, in seconds, at most a year; None for
            no header.
        message: Text of the error; Google's own for the status by default.
        reason: Reason of an ErrorInfo.
        body: `json` as Google's APIs write errors, `html` as a proxy does, or `empty`.
    """

    status: int
    after_effect: bool = field(default=False, kw_only=True)
    retry_after: int | None = field(default=None, kw_only=True)
    message: str | None = field(default=None, kw_only=True)
    reason: str | None = field(default=None, kw_only=True)
    body: Body = field(default="json", kw_only=True)

    def __post_init__(self) -> None:
        RequestFault.__post_init__(self)
        fits = _LEAST_STATUS <= self.status <= _MOST_STATUS
        require(fits, "status", f"{_LEAST_STATUS} to {_MOST_STATUS}")
        require_seconds(self.retry_after, "retry_after")

    @property
    def effect_after(self) -> float | None:
        return 0.0 if self.after_effect else None

    def build_reply(self, target: FaultTarget) -> Reply:
        del target
        error = build_error(self.status, self.message, self.reason)
        return ErrorReply(error, self.body, self.retry_after)


@dataclass(frozen=True, slots=True)
class QuotaExceeded(RequestFault):
    """A create asks for more than a quota's limit: 429, and no job.

    Args:
        metric: Metric of the quota, without `aiplatform.googleapis.com/`.
    """

    method: str = "create"
    metric: str = field(default="custom_model_training_nvidia_l4_gpus", kw_only=True)

    @property
    def effect_after(self) -> None:
        return None

    def build_reply(self, target: FaultTarget) -> Reply:
        del target
        return ErrorReply(build_quota_error(self.metric))


@dataclass(frozen=True, slots=True)
class PermissionWithdrawn(RequestFault):
    """The caller is not allowed to make the call: 403 with IAM_PERMISSION_DENIED.

    The permission is back after `count` calls, after `lasts` seconds, or once the fault is
    withdrawn.
    """

    @property
    def effect_after(self) -> None:
        return None

    def build_reply(self, target: FaultTarget) -> Reply:
        return ErrorReply(build_permission_error(target))


@dataclass(frozen=True, slots=True)
class TokensExpired(RequestFault):
    """With this call, every token issued so far becomes invalid; the call is answered with 401.

    Only a call with a token is hit. A token that a client has signed itself is invalid
    for this one call only, since its next one can be the same to the letter.
    """

    expires_tokens: ClassVar[bool] = True

    @property
    def effect_after(self) -> None:
        return None

    def build_reply(self, target: FaultTarget) -> Reply:
        del target
        return ErrorReply(build_error(401, reason=EXPIRED))

    def matches(self, target: FaultTarget) -> bool:
        return target.bears_token and RequestFault.matches(self, target)


@dataclass(frozen=True, slots=True)
class AnswerCut(RequestFault):
    """The call has its effect; its answer ends on the way, short of its Content-Length.

    Args:
        share: Part of the body that is sent; at least 0, less than 1.
    """

    share: float = field(default=0.5, kw_only=True)

    def __post_init__(self) -> None:
        RequestFault.__post_init__(self)
        require(0 <= self.share < 1, "share", "at least 0 and less than 1")

    def build_reply(self, target: FaultTarget) -> Reply:
        del target
        return CutShort(self.share)


@dataclass(frozen=True, slots=True)
class Delay(RequestFault):
    """The answer takes longer.

    Args:
        seconds: How long; at least 0, at most a year.
        after_effect: Whether the call has its effect before the delay; otherwise after
            it, even if the client has given up by then.
        clock: Whose seconds: the `emulator`'s, the `machine`'s, or `advanced`: the
            emulator advances its own manual clock, for a client that waits in the
            thread that would do so.
    """

    is_addition: ClassVar[bool] = True

    seconds: float
    after_effect: bool = field(default=False, kw_only=True)
    clock: Literal["emulator", "machine", "advanced"] = field(default="emulator", kw_only=True)

    def __post_init__(self) -> None:
        RequestFault.__post_init__(self)
        require_seconds(self.seconds, "seconds")


@dataclass(frozen=True, slots=True)
class Interruption(RequestFault):
    """A function is called in the middle of a call, such as one that kills the client.

    In Python only.

    Args:
        act: The function.
        after_effect: Whether the call has had its effect.
    """

    has_json: ClassVar[bool] = False
    is_addition: ClassVar[bool] = True

    act: Callable[[], object] = field(repr=False)
    after_effect: bool = field(default=False, kw_only=True)


if not TYPE_CHECKING:
    # To a type checker, every public name: it cannot read the registry.
    __all__ = ["RequestFault"]
    __all__ += [kind.__name__ for kind in find_kinds(RequestFault)]
