"""The routes that the emulator serves, as data: `app` binds them, `coverage` prints them."""

from dataclasses import dataclass
from typing import Literal

VERSIONS = ("v1", "v1beta1")
_LOCATION = "/{version}/projects/{project}/locations/{location}"
_JOBS = f"{_LOCATION}/customJobs"

Support = Literal["faithful", "simplified", "emulator only"]


@dataclass(frozen=True, slots=True)
class Route:
    """A route.

    Args:
        method: HTTP method.
        path: Pattern of the path.
        name: Name of the endpoint.
        service: Whose route it is.
        support: `faithful` to what is documented, `simplified`, or a route of the
            emulator's own.
        note: What a reader should know.
    """

    method: str
    path: str
    name: str
    service: str
    support: Support
    note: str


JOB_SERVICE = "Vertex AI JobService"
LOGGING = "Cloud Logging"
OAUTH = "OAuth"
METADATA = "Metadata server"
EMULATOR = "The emulator itself"

ROUTES = (
    Route(
        "POST", _JOBS, "create_job", JOB_SERVICE, "faithful",
        "Every documented rule, all violations at once; then the command really runs.",
    ),
    Route(
        "GET", _JOBS, "list_jobs", JOB_SERVICE, "faithful",
        "`filter`, `pageSize` (at most 100: not documented), `pageToken`, `readMask`. "
        "Newest first. A job is in the list at once; whether Google's is, is not documented.",
    ),
    Route("GET", f"{_JOBS}/{{job}}", "get_job", JOB_SERVICE, "faithful", ""),
    Route(
        "POST", f"{_JOBS}/{{job}}:cancel", "cancel_job", JOB_SERVICE, "faithful",
        "Asynchronous. For a job that is over: FAILED_PRECONDITION, which is an assumption.",
    ),
    Route(
        "DELETE", f"{_JOBS}/{{job}}", "delete_job", JOB_SERVICE, "simplified",
        "The operation is done at once. A job that is not over is ended and deleted, which is "
        "an assumption.",
    ),
    Route(
        "GET", f"{_LOCATION}/operations/{{operation}}", "get_operation", JOB_SERVICE,
        "faithful", "",
    ),
    Route(
        "GET", f"{_JOBS}/{{job}}/operations/{{operation}}", "get_operation", JOB_SERVICE,
        "faithful", "",
    ),
    Route(
        "GET", "/ui/projects/{project}/locations/{location}/operations/{operation}",
        "get_operation", JOB_SERVICE, "faithful", "Where Google's REST clients read operations.",
    ),
    Route(
        "POST", "/v2/entries:list", "list_entries", LOGGING, "faithful",
        "Comparisons, `:`, `=~`, AND, OR, NOT, texts; no functions. Entries are there at once: "
        "no figure for Google's delay is documented.",
    ),
    Route(
        "POST", "/token", "exchange_token", OAUTH, "simplified",
        "`jwt-bearer` (the signature is not verified) and `refresh_token`. Use it as "
        "`token_uri` of a key.",
    ),
    Route("GET", "/", "ping_metadata", METADATA, "faithful", "What libraries ping."),
    Route(
        "GET", "/computeMetadata/v1/{path:path}", "read_metadata", METADATA, "simplified",
        "Service account (token, identity, email, scopes, aliases), project and universe. "
        "Every job has the same account.",
    ),
    Route("GET", "/emulator/health", "read_health", EMULATOR, "emulator only", "Version."),
    Route(
        "GET", "/emulator/requests", "list_calls", EMULATOR, "emulator only",
        "Every call with the identity of its token.",
    ),
    Route(
        "POST", "/emulator/reset", "reset", EMULATOR, "emulator only",
        "Ends and forgets all jobs, logs, tokens, calls and faults.",
    ),
    Route(
        "GET", "/emulator/faults", "list_faults", EMULATOR, "emulator only",
        "What is planned, and how often it has happened.",
    ),
    Route(
        "POST", "/emulator/faults", "plan_faults", EMULATOR, "emulator only",
        "Plans faults; see below.",
    ),
    Route(
        "DELETE", "/emulator/faults", "clear_faults", EMULATOR, "emulator only",
        "Withdraws every fault.",
    ),
    Route(
        "DELETE", "/emulator/faults/{fault}", "withdraw_fault", EMULATOR, "emulator only",
        "Withdraws one by its `id`.",
    ),
)  # fmt: skip
