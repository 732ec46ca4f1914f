"""Every error this package raises on purpose.

```
VertexStepOperatorError
├── ConfigurationError       a setting that can never work; raised before an image is built
├── CredentialsError         no identity, or no project, to act with; retryable
├── InvalidJobName           a text is not the resource name of a job
├── StackError               a component of the stack that Vertex AI cannot reach
├── FlavorOwnershipError     the server's record of the flavor `vertex` could not be changed
├── ServerUnreachable        the ZenML server did not respond; retryable
├── StepRunNotFound          the step run does not exist on the ZenML server any more
└── VertexApiError           Vertex AI refused a call, or did not respond
    ├── JobNotFound          404
    ├── ResourceNotFound     404 for a persistent resource
    ├── PermissionDenied     401, 403; retryable
    ├── RequestRejected      400 and every other 4xx
    │   └── NotYetPermitted      400 for a permission that may still spread; retryable
    ├── QuotaExceeded        429; retryable unless it is of machines
    └── ServiceUnavailable   5xx, timeouts, broken connections; retryable
```

`ConfigurationError` is deliberately not a `ValueError`: ZenML turns a pydantic
`ValidationError` of a settings class into "Failed to convert settings" and drops
the reason, and pydantic swallows `ValueError` into exactly that. Any other
exception reaches the person. It is also a `ClickException`: ZenML's command line shows
one of those as a line, and a traceback of anything else.
"""

from collections.abc import Iterable

import click


class VertexStepOperatorError(Exception):
    """Base of every error of this package.

    Attributes:
        retryable: Whether the same call may succeed later, either by itself or because
            somebody mends what is wrong meanwhile. `following/patience.py` says how long
            that is waited out.
    """

    retryable = False


class ConfigurationError(VertexStepOperatorError, click.ClickException):
    """One or more settings cannot work; says which, and what to write instead.

    Args:
        problems: One sentence for each problem, with its setting and the cure.
        where: Whose settings they are, such as "step `train`".
    """

    def __init__(self, problems: Iterable[str], *, where: str = "") -> None:
        self.problems = tuple(problems)
        subject = f" of {where}" if where else ""
        if len(self.problems) == 1:
            text = f"Vertex settings{subject}: {self.problems[0]}"
        else:
            listed = "".join(f"\n  {n}. {text}" for n, text in enumerate(self.problems, start=1))
            text = f"Vertex settings{subject} have {len(self.problems)} problems:{listed}"
        super().__init__(text)


class CredentialsError(VertexStepOperatorError):
    """No usable identity, or no project; says which source was tried and what to run."""

    # An expired login is renewed when somebody notices.
    retryable = True


class InvalidJobName(VertexStepOperatorError):
    """A text is not the resource name of a job; it may be anything that a step has written."""


class StackError(VertexStepOperatorError):
    """A component of the stack that a Vertex AI job cannot reach."""


class FlavorOwnershipError(VertexStepOperatorError):
    """The server's record of the flavor `vertex` could not be read or changed."""


class ServerUnreachable(VertexStepOperatorError):
    """The ZenML server did not respond, wants a login, or asked to come back later."""

    retryable = True


class StepRunNotFound(VertexStepOperatorError):
    """The ZenML server responds, but the step run does not exist: somebody has deleted it."""


class VertexApiError(VertexStepOperatorError):
    """Vertex AI refused a call, or could not be reached.

    Args:
        message: What failed, which job or parent, and what to do next.
        code: The HTTP status, or None without a response.
    """

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class JobNotFound(VertexApiError):
    """The job does not exist, or not in this project and region."""


class ResourceNotFound(VertexApiError):
    """The persistent resource does not exist, or not in this project and region."""


class PermissionDenied(VertexApiError):
    """The identity lacks a permission, or its token is not accepted."""

    # Permissions take minutes to spread, and are given back when somebody notices.
    retryable = True


class RequestRejected(VertexApiError):
    """Vertex AI does not accept this request, however often it is sent."""


class NotYetPermitted(RequestRejected):
    """A permission is missing that may have just been granted, and takes minutes to spread."""

    retryable = True


class QuotaExceeded(VertexApiError):
    """A quota is used up: of requests per minute, or of machines.

    Args:
        message: What failed, and what to do next.
        code: The HTTP status.
        retry_after: Seconds after which Vertex AI asks to come back; None if it does not.
        is_of_machines: Whether the request asks for more machines than the quota of the
            project allows, which waiting does not change.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        retry_after: float | None = None,
        is_of_machines: bool = False,
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after
        self.is_of_machines = is_of_machines
        self.retryable = not is_of_machines


class ServiceUnavailable(VertexApiError):
    """No response, or one that asks to come back later."""

    retryable = True
