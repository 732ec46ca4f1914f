"""The errors that faults answer with, as Google's servers and proxies write them. Pure.

Texts: public reports, and for the statuses https://cloud.google.com/apis/design/errors
"""

from http import HTTPStatus

from vertex_emulator.core.errors import ApiError
from vertex_emulator.faults.call_faults import (
    ErrorAnswer,
    PermissionWithdrawn,
    QuotaExceeded,
)
from vertex_emulator.http.routes import FaultTarget

# HTTP status -> name of the google.rpc.Code and the text that comes with it.
_ERRORS = {
    400: ("INVALID_ARGUMENT", "Request contains an invalid argument."),
    401: (
        "UNAUTHENTICATED",
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login "
        "cookie or other valid authentication credential. See "
        "https://developers.google.com/identity/sign-in/web/devconsole-project.",
    ),
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


def build_error(fault: ErrorAnswer) -> ApiError:
    """The error of a fault in Google's shape."""
    by_default = "UNKNOWN", _phrase(fault.status)
    name, text = _ERRORS.get(fault.status, by_default)
    return ApiError(name, fault.message or text, reason=fault.reason, http_status=fault.status)


def build_html(fault: ErrorAnswer) -> str:
    """The error of a fault as a proxy in front of the service writes it."""
    return _HTML.format(status=fault.status, phrase=_phrase(fault.status))


def build_quota_error(fault: QuotaExceeded) -> ApiError:
    """What a create gets that asks for more than the limit of a quota."""
    return ApiError(
        "RESOURCE_EXHAUSTED",
        "The following quota metrics exceed quota limits: "
        f"aiplatform.googleapis.com/{fault.metric}",
        http_status=HTTPStatus.TOO_MANY_REQUESTS,
    )


def build_permission_error(fault: PermissionWithdrawn, target: FaultTarget) -> ApiError:
    """What a caller gets who does not have the permission."""
    del fault
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
