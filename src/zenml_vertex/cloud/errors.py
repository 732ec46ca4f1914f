"""What Google's client raises -> the errors of this package, with a cure."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.protobuf.json_format import ParseError
from requests.exceptions import ProxyError, RequestException, SSLError, TooManyRedirects

from zenml_vertex.errors import (
    CredentialsError,
    JobNotFound,
    NotYetPermitted,
    PermissionDenied,
    QuotaExceeded,
    RequestRejected,
    ServiceUnavailable,
    VertexApiError,
    VertexStepOperatorError,
)
from zenml_vertex.foreign_text import clean, end_sentence, iter_chain, presentable
from zenml_vertex.job.causes import Source, find_cause, find_causes

# From here on, HTTP statuses say nothing about the request itself.
_FIRST_SERVER_ERROR = 500
_KINDS: dict[int, type[VertexApiError]] = {
    401: PermissionDenied,
    403: PermissionDenied,
    404: JobNotFound,
    408: ServiceUnavailable,
    429: QuotaExceeded,
}

# What the client and the libraries below it raise. Not every `Exception`: ZenML's handler
# of SIGTERM may raise at any moment, and that has to get through.
_KINDS_RAISED = (
    api.GoogleAPIError,
    auth.GoogleAuthError,
    ParseError,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
)

# The client writes `GET https://...?%24alt=json: ` before what the service says.
_CLIENT_PREFIX = re.compile(r"\s{0,9}[A-Z]{1,9} \S{1,4000}: ")
_TAG = re.compile(r"<([^<>]*)>")
# What a page says stands at its beginning.
_MOST_OF_PAGE = 50_000


@contextmanager
def translated(action: str, who: str = "") -> Iterator[None]:
    """Turn what Google's client raises into an error of this package.

    Args:
        action: What was being done and to which job or parent, such as
            "creating a job in projects/p/locations/us-central1".
        who: Whose access token is used.

    Raises:
        VertexApiError: The kind that fits the response; `ServiceUnavailable` for none,
            and for a token that is only temporarily not available.
        CredentialsError: If no access token is available.
    """
    handled = sys.exc_info()[1]
    try:
        yield
    except _KINDS_RAISED as error:
        cause = error.cause if isinstance(error, api.RetryError) else None
        chain = list(iter_chain(cause or error, handled))
        raise _translate(chain, action, who) from presentable(error)


def _translate(chain: Sequence[BaseException], action: str, who: str) -> VertexStepOperatorError:
    """An error of this package for any error: an unknown kind would end the waiting step.

    Args:
        chain: The error, and what led to it, the latest first.
        action: As in `translated`.
        who: As in `translated`.
    """
    error = chain[0]
    if isinstance(error, api.GoogleAPICallError):
        return _translate_answer(error, action)
    if isinstance(error, auth.GoogleAuthError):
        return _translate_token(chain, action, who)
    if isinstance(error, RequestException) and isinstance(error, ValueError):
        return RequestRejected(f"Could not make a request while {action}: {_explain(chain)}")
    if isinstance(error, OSError):
        # The REST transport wraps no error of requests, which itself raises
        # OSError for a bundle of certificates that is not there.
        return ServiceUnavailable(_describe_connection(chain, action))
    if isinstance(error, (ParseError, UnicodeDecodeError, AttributeError, TypeError)):
        # api_core fails with the last two on an error's body that is not Google's.
        return ServiceUnavailable(
            f"Got a response that does not come from Vertex AI while {action} "
            f"({type(error).__name__}). A proxy or a login page may stand in between: open the "
            "endpoint in a browser, or set HTTPS_PROXY and NO_PROXY."
        )
    return RequestRejected(
        f"Google's client rejected the request while {action}: {_explain(chain)}"
    )


def _translate_answer(error: api.GoogleAPICallError, action: str) -> VertexApiError:
    code = int(error.code or _FIRST_SERVER_ERROR)
    if code >= _FIRST_SERVER_ERROR:
        kind: type[VertexApiError] = ServiceUnavailable
    else:
        kind = _KINDS.get(code, RequestRejected)
    details = [detail for detail in error.details if isinstance(detail, Mapping)]
    text = _read_text(error, details)
    # Over REST, details are dicts, of which `error.reason` wants an attribute.
    reasons = " ".join(str(detail.get("reason", "")) for detail in details)
    cause = find_cause(Source.REFUSAL, f"{text} {reasons}")
    cure = f" {cause.cure[0].upper()}{cause.cure[1:]}" if cause else ""
    message = f"Vertex AI answered {code} while {action}: {end_sentence(text)}{cure}"
    # Whether to try again is told by the message alone, and by all that it names.
    shown = list(find_causes(Source.REFUSAL, text))
    if kind is QuotaExceeded:
        return QuotaExceeded(
            message,
            code=code,
            retry_after=_read_retry_after(error),
            is_of_machines=any(found.is_of_machines for found in shown),
        )
    if kind is RequestRejected and any(found.is_spreading for found in shown):
        kind = NotYetPermitted
    return kind(message, code=code)


def _read_retry_after(error: api.GoogleAPICallError) -> float | None:
    """Seconds that the service asks to wait; it sends a number or a date."""
    headers = getattr(error.response, "headers", None) or {}
    text = str(headers.get("Retry-After") or "").strip()
    if text.isdecimal():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(moment.tzinfo)).total_seconds())


def _translate_token(
    chain: Sequence[BaseException], action: str, who: str
) -> VertexStepOperatorError:
    subject = f"Could not get an access token{f' for {who}' if who else ''} while {action}"
    if _may_pass(chain):
        return ServiceUnavailable(f"{subject} (temporary): {end_sentence(_first_line(chain[-1]))}")
    return CredentialsError(
        f"{subject}: {end_sentence(_first_line(chain[0]))} If the login has expired, run `gcloud "
        "auth login` (or `gcloud auth application-default login`) again; if a key was deleted, "
        "set another `service_account_path`."
    )


def _may_pass(chain: Sequence[BaseException]) -> bool:
    passing = (
        auth.TransportError, auth.TimeoutError, RequestException, ConnectionError, TimeoutError,
    )  # fmt: skip
    return any(
        isinstance(link, passing) or (isinstance(link, auth.GoogleAuthError) and link.retryable)
        for link in chain
    )


def _read_text(error: api.GoogleAPICallError, details: list[Mapping[Any, Any]]) -> str:
    """What the service says, with violations that only its details list."""
    text = str(error.message or "")
    if prefix := _CLIENT_PREFIX.match(text):
        text = text[prefix.end() :]
    if "<html" in text[:500].lower():
        text = _read_page(text[:_MOST_OF_PAGE])
    text = clean(text)
    more = [
        f"{violation.get('field') or violation.get('subject') or ''}: {description}".lstrip(": ")
        for detail in details
        for key in ("fieldViolations", "violations")
        for violation in detail.get(key) or ()
        if isinstance(violation, Mapping)
        and (description := clean(str(violation.get("description", "")))) not in text
    ]
    return " ".join([end_sentence(text), *(end_sentence(item) for item in more)]).strip()


def _describe_connection(chain: Sequence[BaseException], action: str) -> str:
    error = chain[0]
    if isinstance(error, TooManyRedirects):
        return (
            f"Got a redirect, which is not followed, while {action}. A login page may stand in "
            "between: open the endpoint in a browser. If the API has moved, set `api_endpoint` to "
            "its new address."
        )
    return f"Vertex AI did not respond while {action}: {_explain(chain)}{_cure_connection(error)}"


def _read_page(page: str) -> str:
    """What a page of HTML shows, on one line."""
    words: list[str] = []
    hidden = ""
    # Texts and tags take turns.
    for number, part in enumerate(_TAG.split(page)):
        if number % 2 == 0:
            words += [] if hidden else part.split()
            continue
        name = part.partition(" ")[0].strip().lower()
        if not hidden and name in {"style", "script"}:
            hidden = f"/{name}"
        elif name == hidden:
            hidden = ""
    return " ".join(words)


def _cure_connection(error: BaseException) -> str:
    if isinstance(error, SSLError):
        return " Behind a proxy that opens TLS, set REQUESTS_CA_BUNDLE to its certificates."
    if isinstance(error, ProxyError):
        return " Check HTTPS_PROXY and NO_PROXY."
    return ""


def _explain(chain: Sequence[BaseException]) -> str:
    """The kind of an error, and the words of the error that caused it all."""
    return end_sentence(f"{type(chain[0]).__name__}: {_first_line(chain[-1])}")


def _first_line(error: BaseException) -> str:
    # Beside its text, google-auth keeps the response of the token endpoint.
    is_auth = isinstance(error, auth.GoogleAuthError)
    text = clean(str(error.args[0] if is_auth and error.args else error))
    return text.partition("\n")[0] or type(error).__name__
