"""The errors that faults answer with, as Google's servers and proxies write them. Pure.

Texts: public reports, and for the statuses https://cloud.google.com/apis/design/errors
"""

from http import HTTPStatus

from vertex_emulator.core.errors import ApiError
from vertex_emulator.http.callers import INVALID_CREDENTIALS
from vertex_emulator.http.routes import FaultTarget

# HTTP status -> name of the google.rpc.Code and the text that comes with it.
_ERRORS = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: ("UNAUTHENTICATED", INVALID_CREDENTIALS),
    403: ("PERMISSION_DENIED", "The caller does not have permission"),
    404: ("NOT_FOUND", "Requested entity was not found."),
    409: ("ABORTED", "The operation was aborted."),
    429: ("RESOURCE_EXHAUSTED", "Resource has been exhausted (e.g. check quota)."),
    499: ("CANCELLED", "The operation was cancelled."),
    500: ("INTERNAL", "Internal error encountered."),
    501: ("UNIMPLEMENTED", "Operation is not implemented, or supported, or enabled."),
    503: ("UNAVAILABLE", "The service is currently unavailable."),
    504: ("DEADLINE_EXCEEDED", "Deadline expired before operation could complete."),
}
# Of a method that needs none, such as the token endpoint's.
_DEFAULT_PERMISSION = "aiplatform.customJobs.get"
_DEFAULT_HOST = "aiplatform.googleapis.com"
_HTML = """\
<!DOCTYPE html>
<html lang=en>
  <meta charset=utf-8>
  <title>Error {status} ({phrase})!!1</title>
  <p><b>{status}.</b> <ins>That\u2019s an error.</ins>
  <p>The server encountered a temporary error and could not complete your request.<p>Please try \
again in 30 seconds.  <ins>That\u2019s all we know.</ins>
"""


def build_error(status: int, message: str | None = None, reason: str | None = None) -> ApiError:
    """An error in Google's shape.

    Args:
        status: HTTP status.
        message: Text for people; Google's own for the status by default.
        reason: Reason of an ErrorInfo.
    """
    name, text = _ERRORS.get(status, ("UNKNOWN", _phrase(status)))
    return ApiError(name, message or text, reason=reason, http_status=status)


def build_html(status: int) -> str:
    """An error as a proxy in front of the service writes it."""
    return _HTML.format(status=status, phrase=_phrase(status))


def build_quota_error(metric: str) -> ApiError:
    """The refusal of a create that asks for more than the limit of a quota.

    Args:
        metric: Metric of the quota, without `aiplatform.googleapis.com/`.
    """
    return ApiError(
        "RESOURCE_EXHAUSTED",
        f"The following quota metrics exceed quota limits: aiplatform.googleapis.com/{metric}",
        http_status=HTTPStatus.TOO_MANY_REQUESTS,
    )


def build_permission_error(target: FaultTarget) -> ApiError:
    """The refusal of a caller who does not have the permission that a call needs."""
    permission = target.permission or _DEFAULT_PERMISSION
    host = target.host or _DEFAULT_HOST
    return ApiError(
        "PERMISSION_DENIED",
        f"Permission '{permission}' denied on resource "
        f"'//{host}/{target.resource}' (or it may not exist).",
        reason="IAM_PERMISSION_DENIED",
        domain=host,
        metadata={"permission": permission, "resource": target.resource},
    )


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
