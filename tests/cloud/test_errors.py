"""Errors of Google's libraries never escape untranslated."""

import traceback
from collections.abc import Callable, Iterator

import pytest
import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from zenml.exceptions import RunStoppedException

from zenml_vertex.cloud.errors import translated
from zenml_vertex.errors import (
    CredentialsError,
    JobNotFound,
    NotYetPermitted,
    QuotaExceeded,
    RequestRejected,
    ServiceUnavailable,
    VertexApiError,
)

TOKEN = "ya29.a0AfB_secret-token"


def iter_kinds(kind: type[Exception]) -> Iterator[type[Exception]]:
    """Yield a class and all its subclasses."""
    yield kind
    for derived in kind.__subclasses__():
        yield from iter_kinds(derived)


def find_kinds() -> list[type[Exception]]:
    """Return every exception class of the libraries below the client, each once."""
    roots = (api.GoogleAPIError, auth.GoogleAuthError, requests.RequestException)
    libraries = ("google.api_core", "google.auth", "requests")
    found = {kind for root in roots for kind in iter_kinds(root)}
    return sorted(
        (kind for kind in found if kind.__module__.startswith(libraries)),
        key=lambda kind: (kind.__module__, kind.__qualname__),
    )


def build_error(kind: type[Exception]) -> Exception:
    """Build an exception of a class, with a token in it."""
    if issubclass(kind, api.RetryError):
        return kind(f"Timeout {TOKEN}", cause=api.ServiceUnavailable(TOKEN))
    try:
        return kind(f"it went wrong: {TOKEN}")
    except TypeError:
        return kind(f"it went wrong: {TOKEN}", "", 0)


def translate(error: BaseException) -> Exception:
    """Translate an exception."""
    with pytest.raises(Exception) as caught, translated("reading a job", "me"):  # noqa: PT011
        raise error
    return caught.value


def test_the_well_known_exceptions_are_tested() -> None:
    """The classes that the next test covers include the well-known ones."""
    found = find_kinds()
    assert len(found) > 60
    for kind in (api.NotFound, api.RetryError, auth.RefreshError, requests.ConnectTimeout):
        assert kind in found


@pytest.mark.smoke
@pytest.mark.parametrize(
    "kind", find_kinds(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}"
)
def test_every_exception_is_translated(kind: type[Exception]) -> None:
    """Each becomes an error that names the operation and shows no token anywhere."""
    error = translate(build_error(kind))
    assert isinstance(error, (VertexApiError, CredentialsError))
    assert "reading a job" in str(error)
    assert TOKEN not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (auth.TransportError("x"), ServiceUnavailable),
        (auth.TimeoutError("x"), ServiceUnavailable),
        (auth.RefreshError("the token endpoint answers 503", retryable=True), ServiceUnavailable),
        (auth.RefreshError("invalid_grant: Token has been revoked."), CredentialsError),
        (auth.DefaultCredentialsError("x"), CredentialsError),
        (api.RetryError("x", cause=api.NotFound("x")), JobNotFound),
        (api.RetryError("x", cause=None), RequestRejected),
        (api.GoogleAPICallError("without a code"), ServiceUnavailable),
        (requests.exceptions.InvalidURL("x"), RequestRejected),
        (requests.exceptions.ChunkedEncodingError("x"), ServiceUnavailable),
        (ConnectionResetError(104, "Connection reset by peer"), ServiceUnavailable),
        (ValueError("The configured universe domain does not match."), RequestRejected),
    ],
)
@pytest.mark.smoke
def test_temporary_and_permanent_errors_are_told_apart(
    error: Exception, kind: type[Exception]
) -> None:
    """A temporary error may be waited out for hours; a permanent one ends the wait soon."""
    assert type(translate(error)) is kind


def _refuse(code: int, message: str, *reasons: str) -> Exception:
    """Translate a refusal with a message, and with reasons in its details."""
    details = [{"reason": reason} for reason in reasons]
    return translate(api.from_http_status(code, message, errors=(), details=details))


@pytest.mark.parametrize(
    ("text", "reasons", "is_of_machines"),
    [
        ("The following quota metrics exceed quota limits: t4", (), True),
        ("SERVICE_DISABLED, and quota metrics exceed quota limits: t4", (), True),
        ("Too many requests.", ("quota metrics exceed",), False),
    ],
)
def test_a_quota_of_machines_is_found_among_several_causes(
    text: str, reasons: tuple[str, ...], is_of_machines: bool
) -> None:
    """A quota of machines, for which waiting is no use, is found beside any other cause."""
    error = _refuse(429, text, *reasons)
    assert isinstance(error, QuotaExceeded)
    assert error.is_of_machines == is_of_machines


@pytest.mark.parametrize(
    ("text", "reasons", "kind"),
    [
        ("You do not have permission to act as service_account: a@b.c.", (), NotYetPermitted),
        (
            "aiplatform.customJobs.create was denied, and the agent does not have permission to "
            "access Artifact Registry repository r.",
            ("SERVICE_DISABLED",),
            NotYetPermitted,
        ),
        ("Invalid.", ("act as service_account",), RequestRejected),
    ],
)
def test_a_permission_that_spreads_is_found_among_several_causes(
    text: str, reasons: tuple[str, ...], kind: type[Exception]
) -> None:
    """A permission that spreads for minutes is found in the message, beside any other cause."""
    assert type(_refuse(400, text, *reasons)) is kind


def test_a_token_lost_to_the_network_is_a_temporary_error() -> None:
    """A broken connection that google-auth wraps in a RefreshError is temporary."""
    error = auth.RefreshError("the metadata server")
    error.__cause__ = auth.TransportError("cannot be reached")
    assert type(translate(error)) is ServiceUnavailable


def test_the_cause_is_kept() -> None:
    """Without a secret in it, the original exception is the cause in the traceback."""
    cause = api.NotFound("gone")
    assert translate(cause).__cause__ is cause


def test_the_token_endpoints_answer_is_not_shown() -> None:
    """The endpoint's answer, which google-auth keeps in the exception, is not shown."""
    error = auth.RefreshError("No access token in response.", {"id_token": "eyJh.eyJp.c2ln"})
    text = "".join(traceback.format_exception(translate(error)))
    assert "No access token in response." in text
    assert "eyJp" not in text


@pytest.mark.parametrize(
    "interruption", [KeyboardInterrupt(), SystemExit(1), RunStoppedException()]
)
def test_an_interruption_is_not_translated(interruption: BaseException) -> None:
    """Ctrl-C and the exception of ZenML's SIGTERM handler are raised unchanged."""
    with pytest.raises(type(interruption)), translated("reading a job"):
        raise interruption


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (
            auth.RefreshError("invalid_grant: Bad Request"),
            "Could not get an access token for me while reading a job: invalid_grant: Bad "
            "Request. If the login has expired, run `gcloud auth login` (or `gcloud auth "
            "application-default login`) again; if a key was deleted, set another "
            "`service_account_path`.",
        ),
        (
            requests.exceptions.SSLError("certificate verify failed"),
            "Vertex AI did not respond while reading a job: SSLError: certificate verify failed. "
            "Behind a proxy that opens TLS, set REQUESTS_CA_BUNDLE to its certificates.",
        ),
    ],
)
def test_an_error_is_a_sentence_with_its_cure(error: Exception, text: str) -> None:
    """Each error's whole text, with its cure, equals the expected one."""
    assert str(translate(error)) == text


def test_every_error_without_arguments_has_a_text() -> None:
    """An exception without arguments, as google-auth has some, still gets a text."""
    kinds: list[Callable[[], Exception]] = [
        auth.GoogleAuthError,
        requests.RequestException,
        OSError,
    ]
    for kind in kinds:
        assert kind().__class__.__name__ in str(translate(kind()))


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [
        (auth.RefreshError("invalid_grant"), CredentialsError, "gcloud auth login"),
        (requests.ConnectionError("no route to host"), ServiceUnavailable, "no route to host"),
        (ValueError("bad name"), RequestRejected, "bad name"),
    ],
    ids=["login", "connection", "request"],
)
def test_what_was_handled_before_a_call_is_no_cause(
    raised: Exception, kind: type[Exception], said: str
) -> None:
    """A call in the wake of another error, such as a cancel, is told by its own error alone."""
    try:
        fail(requests.ConnectionError("THE ZENML SERVER IS DOWN"))
    except requests.ConnectionError:
        error = translate(raised)
    assert type(error) is kind
    assert said in str(error)
    assert "ZENML" not in str(error)


def test_what_a_call_itself_handled_is_its_cause() -> None:
    """In the wake of another error, too, what the call met first explains its error."""

    def call() -> None:
        try:
            fail(ConnectionResetError("reset by peer"))
        except ConnectionResetError:
            fail(auth.RefreshError("no token"))

    try:
        fail(OSError("THE ZENML SERVER IS DOWN"))
    except OSError:
        with pytest.raises(ServiceUnavailable, match="reset by peer"), translated("reading"):
            call()


def test_an_error_that_is_raised_again_is_told() -> None:
    """A call that raises the very error that is being handled gets that error translated."""
    lost = requests.ConnectionError("no route to host")
    try:
        fail(lost)
    except requests.ConnectionError:
        assert "no route to host" in str(translate(lost))


def fail(error: Exception) -> None:
    """Raise an exception."""
    raise error
