"""What Google's client raises -> the errors of this package, with a cure."""

from collections.abc import Iterator
from contextlib import contextmanager

from google.api_core import exceptions as api
from google.auth import exceptions as auth
from requests.exceptions import RequestException

from zenml_vertex.errors import (
    CredentialsError,
    JobNotFound,
    PermissionDenied,
    QuotaExceeded,
    RequestRejected,
    ServiceUnavailable,
    VertexApiError,
)

# HTTP statuses that say nothing about the request itself.
_FIRST_SERVER_ERROR = 500
_KINDS: dict[int, type[VertexApiError]] = {
    401: PermissionDenied,
    403: PermissionDenied,
    404: JobNotFound,
    408: ServiceUnavailable,
    429: QuotaExceeded,
}

# What a refusal's text contains -> what to do. Texts: public reports.
_CURES = (
    (
        "act as service_account",
        "Give the submitting identity the role roles/iam.serviceAccountUser on it: `gcloud iam "
        "service-accounts add-iam-policy-binding SERVICE_ACCOUNT --member=MEMBER "
        "--role=roles/iam.serviceAccountUser`.",
    ),
    (
        "does not have permission to access Artifact Registry",
        "Give the named agent the role roles/artifactregistry.reader on the repository: Vertex "
        "AI's agents pull images, never the job's own service account.",
    ),
    (
        "has not been used in project",
        "Enable it with `gcloud services enable aiplatform.googleapis.com --project=PROJECT`.",
    ),
    (
        "SERVICE_DISABLED",
        "Enable it with `gcloud services enable aiplatform.googleapis.com --project=PROJECT`.",
    ),
    (
        "customJobs",
        "Give the identity the role roles/aiplatform.user: `gcloud projects "
        "add-iam-policy-binding PROJECT --member=MEMBER --role=roles/aiplatform.user`.",
    ),
    (
        "Permission denied on resource project",
        "Use the project's ID, not its name: `gcloud projects list` shows both.",
    ),
    (
        "quota metrics exceed",
        "Ask for more of that quota in the Google Cloud console (IAM & Admin > Quotas), or choose "
        "a smaller machine or another region.",
    ),
)


@contextmanager
def translated(action: str) -> Iterator[None]:
    """Turn what Google's client raises into an error of this package.

    Args:
        action: What was being done and to which job or parent, such as
            "creating a job in projects/p/locations/us-central1".

    Raises:
        VertexApiError: The kind that fits the answer.
        CredentialsError: If no token could be had.
    """
    try:
        yield
    except api.GoogleAPICallError as error:
        raise _translate(error, action) from error
    except auth.TransportError as error:
        raise ServiceUnavailable(
            f"No access token while {action}: the token endpoint cannot be reached."
        ) from error
    except auth.GoogleAuthError as error:
        raise CredentialsError(
            f"No access token while {action}: {_first_line(error)} If the login has expired, run "
            "`gcloud auth login` (or `gcloud auth application-default login`) again; if a key "
            "was deleted, set another `service_account_path`."
        ) from error
    except RequestException as error:
        # The REST transport does not wrap these.
        raise ServiceUnavailable(
            f"Vertex AI gave no answer while {action} ({type(error).__name__})."
        ) from error


def _translate(error: api.GoogleAPICallError, action: str) -> VertexApiError:
    code = int(error.code or _FIRST_SERVER_ERROR)
    if code >= _FIRST_SERVER_ERROR:
        kind: type[VertexApiError] = ServiceUnavailable
    else:
        kind = _KINDS.get(code, RequestRejected)
    text = str(error.message or "").strip()
    cure = next((cure for pattern, cure in _CURES if pattern in f"{text} {error.reason}"), "")
    message = f"Vertex AI answered {code} while {action}: {text}"
    return kind(f"{message} {cure}".strip(), code=code)


def _first_line(error: Exception) -> str:
    lines = str(error.args[0] if error.args else error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
