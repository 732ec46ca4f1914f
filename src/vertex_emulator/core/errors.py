"""Errors in the shape that Google's APIs give them.

https://cloud.google.com/apis/design/errors
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

# Name of the google.rpc.Code -> HTTP status, https://cloud.google.com/apis/design/errors
_HTTP_STATUS = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "INTERNAL": 500,
    # Google's own is 501, which gcloud takes for a server that is out of order for a moment: it
    # tries again for half a minute, and then blames the network.
    "UNIMPLEMENTED": 400,
}


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that is wrong with a request; a `FieldViolation` of `google.rpc.BadRequest`.

    Args:
        field: Path of the field in snake_case, as the service writes it; empty for a query
            parameter, which it does not name.
        description: What is wrong.
    """

    field: str
    description: str


class ApiError(Exception):
    """An answer that is an error.

    Args:
        status: Name of the `google.rpc.Code`.
        message: Text for people.
        violations: Become a `google.rpc.BadRequest` detail.
        reason: Becomes a `google.rpc.ErrorInfo` detail.
        domain: Of that detail.
        metadata: Of that detail.
        http_status: Where it is not the one of `status`.
        details: Further details, each with its `@type`.
    """

    def __init__(
        self,
        status: str,
        message: str,
        *,
        violations: Sequence[Violation] = (),
        reason: str | None = None,
        domain: str = "googleapis.com",
        metadata: Mapping[str, str] | None = None,
        http_status: int | None = None,
        details: Sequence[Json] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.violations = tuple(violations)
        self.reason = reason
        self.domain = domain
        self.metadata = dict(metadata or {})
        self.http_status = http_status or _HTTP_STATUS[status]
        self.details = tuple(details)

    def to_json(self) -> Json:
        """The body of the answer."""
        details: list[Json] = []
        if self.reason:
            info: Json = {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": self.reason,
                "domain": self.domain,
            }
            details.append({**info, "metadata": self.metadata} if self.metadata else info)
        if self.violations:
            details.append(
                {
                    "@type": "type.googleapis.com/google.rpc.BadRequest",
                    "fieldViolations": [
                        {"field": item.field, "description": item.description}
                        if item.field
                        else {"description": item.description}
                        for item in self.violations
                    ],
                }
            )
        details += self.details
        error: Json = {"code": self.http_status, "message": self.message, "status": self.status}
        if details:
            error["details"] = details
        return {"error": error}


def invalid_argument(message: str) -> ApiError:
    """A request that is wrong in itself."""
    return ApiError("INVALID_ARGUMENT", message)


def found_errors(violations: Sequence[Violation]) -> ApiError:
    r"""A job that breaks rules, every broken rule named.

    The service writes `List of found errors:\t1.Field: F; Message: M\t2.Field: ...`
    (public reports, such as prefect-gcp #175).
    """
    listed = "".join(
        f"\t{number}.Field: {item.field}; Message: {item.description}"
        for number, item in enumerate(violations, start=1)
    )
    return ApiError("INVALID_ARGUMENT", f"List of found errors:{listed}\t", violations=violations)


def unreadable_json(violations: Sequence[Violation]) -> ApiError:
    """A body that does not fit the message it should be; texts of Google's JSON transcoding."""
    text = "\n".join(item.description for item in violations)
    return ApiError("INVALID_ARGUMENT", text, violations=violations)


def unserved(method: str, path: str) -> ApiError:
    """A call of something that the emulator does not have.

    Google answers an address that it does not have with 404 too, though with a page; and no
    client tries that again.
    """
    text = f"The emulator does not serve {method} {path}."
    return ApiError("UNIMPLEMENTED", text, http_status=404)
