"""Answers that the emulator would not give, from a server with prepared answers."""

import traceback
from collections.abc import Callable
from typing import Any

import pytest
from google.oauth2.credentials import Credentials

from tests.support.servers import Canned, build_refusal
from zenml_vertex.cloud.jobs import Timeouts, VertexJobs
from zenml_vertex.errors import (
    JobNotFound,
    PermissionDenied,
    QuotaExceeded,
    RequestRejected,
    ServiceUnavailable,
    VertexApiError,
)

JobsAt = Callable[..., VertexJobs]
NAME = "projects/my-project/locations/us-central1/customJobs/1"
PARENT = "projects/my-project/locations/us-central1"
PERMISSION = (
    "Permission 'aiplatform.customJobs.create' denied on resource "
    "'//aiplatform.googleapis.com/projects/my-project/locations/us-central1' (or it may not exist)."
)


class Renewing(Credentials):
    """Credentials that get a new token at every refresh."""

    def __init__(self) -> None:
        super().__init__("token-0")  # type: ignore[no-untyped-call]

    def refresh(self, request: Any) -> None:
        del request
        self.token = f"{self.token}0"


def get_error(jobs: VertexJobs, kind: type[VertexApiError] = VertexApiError) -> VertexApiError:
    """Return the error that a read raises."""
    with pytest.raises(kind) as caught:
        jobs.get(NAME)
    return caught.value


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("status", "kind", "is_retryable"),
    [
        (400, RequestRejected, False),
        (401, PermissionDenied, True),
        (403, PermissionDenied, True),
        (404, JobNotFound, False),
        (408, ServiceUnavailable, True),
        (409, RequestRejected, False),
        (412, RequestRejected, False),
        (418, RequestRejected, False),
        (429, QuotaExceeded, True),
        (499, RequestRejected, False),
        (500, ServiceUnavailable, True),
        (502, ServiceUnavailable, True),
        (503, ServiceUnavailable, True),
        (504, ServiceUnavailable, True),
    ],
)
def test_each_status_has_its_error(
    jobs_at: JobsAt, status: int, kind: type[VertexApiError], is_retryable: bool
) -> None:
    """Each HTTP status becomes the error class of `errors.py`, with the service's text."""
    with Canned(status, build_refusal(status, "No such luck.")) as server:
        error = get_error(jobs_at(server.url, Renewing()), kind)
    assert type(error) is kind
    assert error.code == status
    assert error.retryable is is_retryable
    assert str(error) == f"Vertex AI answered {status} while reading {NAME}: No such luck."


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("status", "message", "reason", "cure"),
    [
        (403, PERMISSION, "IAM_PERMISSION_DENIED", "roles/aiplatform.user"),
        (403, "Vertex AI API has not been used in project 1 before", "", "gcloud services enable"),
        (403, "Disabled.", "SERVICE_DISABLED", "gcloud services enable aiplatform"),
        (
            400,
            "You do not have permission to act as service_account: a@b.iam",
            "",
            "roles/iam.serviceAccountUser",
        ),
        (
            429,
            "The following quota metrics exceed quota limits: custom_model_training_nvidia_t4_gpus",
            "",
            "IAM & Admin > Quotas",
        ),
        (403, "Permission denied on resource project My Project.", "", "gcloud projects list"),
        (
            401,
            "Request had invalid authentication credentials.",
            "ACCESS_TOKEN_EXPIRED",
            "gcloud auth login",
        ),
    ],
)
def test_a_known_refusal_has_its_cure(
    jobs_at: JobsAt, status: int, message: str, reason: str, cure: str
) -> None:
    """The cure is found by the service's text, or by the reason in the error's details."""
    details = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}
    with Canned(status, build_refusal(status, message, details)) as server:
        text = str(get_error(jobs_at(server.url, Renewing())))
    assert message in text
    assert cure in text


def test_violations_in_the_details_are_shown(jobs_at: JobsAt) -> None:
    """Violations that only the details have are added; those in the text are not repeated."""
    details = {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [
            {"field": "job_spec", "description": "It is too large"},
            {"field": "labels", "description": "Said already."},
            "rubbish",
        ],
    }
    refusal = build_refusal(400, "Request is invalid: Said already.", details, {"reason": None})
    with Canned(400, refusal) as server:
        text = str(get_error(jobs_at(server.url), RequestRejected))
    assert text.endswith(": Request is invalid: Said already. job_spec: It is too large.")


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("state", "read"),
    [
        (99, "99"),
        (3, "JOB_STATE_RUNNING"),
        ("JOB_STATE_FROM_THE_FUTURE", "JOB_STATE_UNSPECIFIED"),
        (None, "JOB_STATE_UNSPECIFIED"),
    ],
)
def test_an_unknown_state_is_read(jobs_at: JobsAt, state: Any, read: str) -> None:
    """A state number without a name is read as that number, without an error."""
    with Canned(200, {"name": NAME, "state": state, "futureField": {"a": [1]}}) as server:
        assert jobs_at(server.url).get(NAME)["state"] == read


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b"5", b"\xff\xfe", b"<html>Log in</html>", b'{"name": 5}', b"{}"],
)
def test_an_answer_that_is_not_a_job_is_service_unavailable(jobs_at: JobsAt, body: bytes) -> None:
    """A login page with status 200, truncated JSON and an empty object are ServiceUnavailable."""
    with Canned(200, body) as server:
        jobs = jobs_at(server.url)
        assert NAME in str(get_error(jobs, ServiceUnavailable))
        with pytest.raises(ServiceUnavailable, match="creating a job in"):
            jobs.create(PARENT, {"displayName": "a job"})


def test_half_a_body_is_service_unavailable(jobs_at: JobsAt) -> None:
    """A connection that ends before its answer is complete is ServiceUnavailable."""
    with Canned(200, {"name": NAME, "state": 3}, length=1000) as server:
        get_error(jobs_at(server.url), ServiceUnavailable)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        [{"error": {"message": "in a list"}}],
        {"error": "a text"},
        "a text",
        None,
        {"error": {"message": None, "details": None}},
        {"error": {"message": "m", "details": ["a text"]}},
        {"error": {"message": "m", "details": [{"fieldViolations": None, "violations": [7]}]}},
    ],
)
def test_an_error_whose_body_is_not_googles_is_an_error(jobs_at: JobsAt, content: Any) -> None:
    """An error with a body in another format is one of this package's errors."""
    with Canned(503, content) as server:
        get_error(jobs_at(server.url), ServiceUnavailable)


def test_a_proxys_error_page_is_reduced_to_its_text(jobs_at: JobsAt) -> None:
    """An error shows a page's text without markup, and in a limited length."""
    page = b"<!DOCTYPE html><html><style>p {x: y}</style><p>Bad\n <b>gateway</b></p>" + b"z" * 10**6
    with Canned(502, page) as server:
        text = str(get_error(jobs_at(server.url), ServiceUnavailable))
    assert "Bad gateway" in text
    assert "<" not in text
    assert "x: y" not in text
    assert len(text) < 5000


@pytest.mark.smoke
def test_a_token_that_a_proxy_repeats_is_not_shown(jobs_at: JobsAt) -> None:
    """A token that a proxy's error page repeats is neither in the error nor in its traceback."""
    token = "ya29.a0AfB_secret-token"
    with Canned(502, b"was the header of the request", echo=True) as server:
        error = get_error(jobs_at(server.url, Credentials(token)), ServiceUnavailable)
    assert "was the header of the request" in str(error)
    assert token not in "".join(traceback.format_exception(error))


def test_a_token_that_is_not_a_valid_header_is_not_shown(jobs_at: JobsAt) -> None:
    """A token that cannot be sent as a header is not shown in the error."""
    token = "ya29.a0AfB_secret\ntoken"
    jobs = jobs_at("http://127.0.0.1:1", Credentials(token))
    error = get_error(jobs, RequestRejected)
    assert "secret" not in "".join(traceback.format_exception(error))


def test_endless_redirects_are_an_error(jobs_at: JobsAt) -> None:
    """A proxy that redirects in a circle is an error, rather than an endless call."""
    with Canned(302, headers={"Location": "/elsewhere"}) as server:
        get_error(jobs_at(server.url), ServiceUnavailable)


def test_a_cancel_is_retried_and_given_up(jobs_at: JobsAt) -> None:
    """After the last retry of a cancel, its answer is raised instead of Google's RetryError."""
    with Canned(503, build_refusal(503, "Busy.")) as server:
        jobs = jobs_at(server.url, timeouts=Timeouts(cancel=1.0))
        with pytest.raises(ServiceUnavailable, match=r"503 while cancelling .*: Busy\.$"):
            jobs.cancel(NAME)
    assert len(server.requests) > 1


def test_a_create_is_never_retried(jobs_at: JobsAt) -> None:
    """A create is sent once, because a second one could make and charge a second job."""
    with Canned(503, build_refusal(503, "Busy.")) as server:
        with pytest.raises(ServiceUnavailable):
            jobs_at(server.url).create(PARENT, {"displayName": "a job"})
        assert server.requests == [f"POST /v1/{PARENT}/customJobs"]


def test_a_missing_certificate_bundle_is_reported(
    jobs_at: JobsAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The OSError about a missing certificate bundle becomes an error with its path."""
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nonexistent/company.pem")
    error = get_error(jobs_at("https://127.0.0.1:1"), ServiceUnavailable)
    assert "/nonexistent/company.pem" in str(error)


def test_an_unreachable_proxy_is_reported(jobs_at: JobsAt, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error about an unreachable proxy names the variables that configure it."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:1")
    error = get_error(jobs_at("https://vertex.invalid"), ServiceUnavailable)
    assert "Check HTTPS_PROXY" in str(error)
