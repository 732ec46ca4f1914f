"""No error of Google's libraries gets out as it is."""

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
    RequestRejected,
    ServiceUnavailable,
    VertexApiError,
)

TOKEN = "ya29.a0AfB_secret-token"


def iter_kinds(kind: type[Exception]) -> Iterator[type[Exception]]:
    """A class and all that are derived from it."""
    yield kind
    for derived in kind.__subclasses__():
        yield from iter_kinds(derived)


def find_kinds() -> list[type[Exception]]:
    """Every kind of error that the libraries below the client have, each once."""
    roots = (api.GoogleAPIError, auth.GoogleAuthError, requests.RequestException)
    libraries = ("google.api_core", "google.auth", "requests")
    found = {kind for root in roots for kind in iter_kinds(root)}
    return sorted(
        (kind for kind in found if kind.__module__.startswith(libraries)),
        key=lambda kind: (kind.__module__, kind.__qualname__),
    )


def build_error(kind: type[Exception]) -> Exception:
    """An error of a kind, with a token in it."""
    if issubclass(kind, api.RetryError):
        return kind(f"Timeout {TOKEN}", cause=api.ServiceUnavailable(TOKEN))
    try:
        return kind(f"it went wrong: {TOKEN}")
    except TypeError:
        return kind(f"it went wrong: {TOKEN}", "", 0)


def translate(error: BaseException) -> Exception:
    """What becomes of an error."""
    with pytest.raises(Exception) as caught, translated("reading a job", "me"):  # noqa: PT011
        raise error
    return caught.value


def test_there_are_kinds_to_test() -> None:
    """The test below walks the libraries' own classes, and finds the well known ones."""
    found = find_kinds()
    assert len(found) > 60
    for kind in (api.NotFound, api.RetryError, auth.RefreshError, requests.ConnectTimeout):
        assert kind in found


@pytest.mark.smoke
@pytest.mark.parametrize(
    "kind", find_kinds(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}"
)
def test_none_escapes(kind: type[Exception]) -> None:
    """Each becomes an error that says what was being done, and shows no token anywhere."""
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
def test_what_may_pass_is_told_from_what_does_not(error: Exception, kind: type[Exception]) -> None:
    """A wait goes on for hours over the one, and ends soon over the other."""
    assert type(translate(error)) is kind


def test_a_token_that_the_network_kept_away_may_come_later() -> None:
    """google-auth wraps the broken connection into an error that would otherwise be final."""
    error = auth.RefreshError("the metadata server")
    error.__cause__ = auth.TransportError("cannot be reached")
    assert type(translate(error)) is ServiceUnavailable


def test_the_cause_is_kept() -> None:
    """Where it holds no secret, the traceback shows what Google's client raised."""
    cause = api.NotFound("gone")
    assert translate(cause).__cause__ is cause


def test_what_the_token_endpoint_answered_is_not_shown() -> None:
    """google-auth keeps the whole answer beside its text."""
    error = auth.RefreshError("No access token in response.", {"id_token": "eyJh.eyJp.c2ln"})
    text = "".join(traceback.format_exception(translate(error)))
    assert "No access token in response." in text
    assert "eyJp" not in text


@pytest.mark.parametrize(
    "interruption", [KeyboardInterrupt(), SystemExit(1), RunStoppedException()]
)
def test_an_interruption_is_not_translated(interruption: BaseException) -> None:
    """Ctrl-C, and what ZenML raises at SIGTERM, have to reach whoever cancels the job."""
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
    """Whole texts, as people see them."""
    assert str(translate(error)) == text


def test_every_error_without_arguments_has_a_text() -> None:
    """Some of google-auth's have none."""
    kinds: list[Callable[[], Exception]] = [
        auth.GoogleAuthError,
        requests.RequestException,
        OSError,
    ]
    for kind in kinds:
        assert kind().__class__.__name__ in str(translate(kind()))
