"""Known causes of failure: the catalogue of what goes wrong, how it shows, and the cure.

The service's error code says little (8 is a quota, a stockout and a lack of memory), so
its text decides. Texts: the troubleshooting page,
https://cloud.google.com/vertex-ai/docs/general/troubleshooting, and public reports. For
an image that cannot be pulled, Vertex AI's own words are not known; the texts are those of
registries, of container engines, and of the agents' missing permission.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Flag, auto
from typing import Literal

Category = Literal[
    "cancelled",  # by a person
    "command",  # the container could not start its command
    "crash",  # a signal ended the process
    "deleted",  # the job does not exist any more
    "exit",  # the container exited with a status of its own
    "expired",  # the job did not finish in time
    "image",  # cannot be pulled, or runs on other machines
    "internal",  # an error of Vertex AI
    "login",  # the identity has no valid access token
    "memory",
    "packages",  # the image lacks packages, or has some that do not fit together
    "permission",
    "project",  # its ID, or an API that is not enabled
    "python",  # versions of Python that do not fit together
    "quota",
    "resource",  # the persistent resource does not exist
    "server",  # the ZenML server did not respond
    "stockout",  # no free machine
    "timeout",  # of the job, reached
    "unknown",
    "unreachable",  # the job cannot be read
    "unreported",  # the step never told ZenML its result
]


class Source(Flag):
    """Where a cause shows."""

    # The error message of a job.
    JOB = auto()
    # The error that its container wrote last, before the step ran. The service may have the
    # end of the log in the job's message.
    LOG = auto()
    # Vertex AI's refusal of a call: its message, and the reasons in its details.
    REFUSAL = auto()


@dataclass(frozen=True, slots=True)
class Cause:
    """One known cause of failure."""

    category: Category
    # Where it shows, and what the text, which is cleaned, contains there. Bounded.
    source: Source
    pattern: re.Pattern[str]
    # What to do next; begins with a small letter.
    cure: str
    # What happened to the job, as the rest of "Vertex AI job 123 ..."; empty for a cause
    # that only refuses calls.
    what: str = ""
    # Whether it passes by itself: a permission that was just given spreads for minutes.
    is_spreading: bool = False
    # Whether the quota is one of machines, which waiting does not change.
    is_of_machines: bool = False


def _match(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE | re.DOTALL)


_OTHER_ARCHITECTURE = "uses an image built for another CPU architecture."
_BUILD_FOR_MACHINE = (
    "build it for the job's machine: DockerSettings(build_config=DockerBuildConfig("
    "build_options=DockerBuildOptions(platform='linux/amd64'))); 'linux/arm64' for A4X."
)
_NO_ACCESS_TO_IMAGE = "is not allowed to pull its image."
_GRANT_READER = (
    "give Vertex AI's agents, which pull images, the role roles/artifactregistry.reader: "
    "`gcloud artifacts repositories add-iam-policy-binding REPOSITORY --location=LOCATION "
    "--role=roles/artifactregistry.reader --member=serviceAccount:service-PROJECT_NUMBER@"
    "gcp-sa-aiplatform-cc.iam.gserviceaccount.com`. The job's own service account does not "
    "pull images."
)
_OVER_QUOTA = "asks for more than the project's quota in this region."
_RAISE_QUOTA = (
    "ask for more of the named quota in the Google Cloud console (IAM & Admin > Quotas), or "
    "choose a smaller `machine_type` or another `region`."
)
_CHECK_IMAGE = (
    "check that the image has Python and the step's packages: `docker run --rm "
    "--entrypoint python IMAGE -c 'import zenml'`."
)
_READ_LOG = "look at the last lines of its log; a native library is the usual suspect."

# Of several that show, the first one is named.
CAUSES = (
    Cause(
        category="server",
        source=Source.LOG,
        pattern=_match(r"The ZenML server has not responded for"),
        what="could not report its step's result: the ZenML server did not respond.",
        cure="see that the server is up, and run the step again. The setting "
        "`server_outage_seconds` is how long a step waits for the server.",
    ),
    Cause(
        category="image",
        source=Source.LOG,
        pattern=_match(r"exec format error"),
        what=_OTHER_ARCHITECTURE,
        cure=_BUILD_FOR_MACHINE,
    ),
    Cause(
        category="packages",
        source=Source.LOG,
        pattern=re.compile(r"No module named '?zenml_vertex'?(?![\w.])"),
        what="could not load the stack: zenml-vertex is not in its image.",
        cure="have ZenML build the step's image, which copies zenml-vertex into it: leave "
        "`skip_build` of DockerSettings at False and `install_stack_requirements` at True. An "
        "image that ZenML does not build, or builds without these, has to contain zenml-vertex, in "
        "the version that `zenml-vertex --version` says here.",
    ),
    Cause(
        category="packages",
        source=Source.LOG,
        pattern=re.compile(r"No module named '?zenml_vertex\.\w"),
        what="could not import a module of zenml-vertex: its image has another version, or only "
        "the part that steps need.",
        cure="install zenml-vertex in the step's parent image, in the version that `zenml-vertex "
        "--version` says here, and set DockerSettings(parent_image=..., "
        "install_stack_requirements=False). A step that submits jobs itself needs "
        "`zenml-vertex[client]` there.",
    ),
    Cause(
        category="packages",
        source=Source.LOG,
        pattern=re.compile(r"No module named '?zenml'?(?![\w.])"),
        what="could not run its step: ZenML is not in its image.",
        cure="add it, in this version: DockerSettings(requirements=['zenml==VERSION', ...]), with "
        "VERSION as `zenml version` says here.",
    ),
    Cause(
        category="packages",
        source=Source.LOG,
        pattern=re.compile(
            r"_VALID_ANY_VALUE_TYPES|cannot import name .{0,200} from 'opentelemetry"
        ),
        what="could not import ZenML: the opentelemetry packages in its image do not fit together.",
        cure="name ZenML among the step's own requirements, as `zenml version` says it: "
        "DockerSettings(requirements=['zenml==VERSION', ...]). A package of Google's that was "
        "installed after ZenML has replaced what ZenML pins.",
    ),
    Cause(
        category="permission",
        source=Source.LOG,
        pattern=re.compile(r"could not read the step's environment variables from Secret Manager"),
        what="could not read its environment variables from Secret Manager.",
        cure="let the job's `service_account` read them: `gcloud projects add-iam-policy-binding "
        "PROJECT --member=serviceAccount:SERVICE_ACCOUNT "
        "--role=roles/secretmanager.secretAccessor`. Its log says what was answered.",
    ),
    Cause(
        category="python",
        source=Source.LOG,
        pattern=re.compile(
            r"unsupported pickle protocol|bad magic number in|code\(\) argument|"
            r"code expected at most"
        ),
        what="failed: its image runs a different Python version than the one that pickled its "
        "inputs.",
        cure="use a parent image with the Python of the machine that starts the pipeline (`python "
        "--version`), such as zenmldocker/zenml:VERSION-py3.11.",
    ),
    Cause(
        category="permission",
        source=Source.REFUSAL,
        pattern=_match(r"act as service_account"),
        cure="give the submitting identity the role roles/iam.serviceAccountUser on it: `gcloud "
        "iam service-accounts add-iam-policy-binding SERVICE_ACCOUNT --member=MEMBER "
        "--role=roles/iam.serviceAccountUser`.",
        is_spreading=True,
    ),
    Cause(
        category="permission",
        source=Source.JOB | Source.REFUSAL,
        pattern=_match(r"does not have permission to access artifact registry"),
        what=_NO_ACCESS_TO_IMAGE,
        cure=_GRANT_READER,
        is_spreading=True,
    ),
    Cause(
        category="permission",
        source=Source.JOB,
        pattern=_match(
            r"\bimage\b.{0,600}(?:\bdenied\b|unauthorized|forbidden|no basic auth credentials)"
        ),
        what=_NO_ACCESS_TO_IMAGE,
        cure=_GRANT_READER,
    ),
    Cause(
        category="image",
        source=Source.JOB,
        pattern=_match(r"no match(?:ing manifest)? for (?:platform|linux/)"),
        what=_OTHER_ARCHITECTURE,
        cure=_BUILD_FOR_MACHINE,
    ),
    Cause(
        category="image",
        source=Source.JOB,
        pattern=_match(
            r"manifest(?: for \S{1,600})? (?:unknown|not found)|ErrImagePull|ImagePullBackOff"
            r"|\bimage\b.{0,600}\b(?:cannot be pulled|failed to pull|not found|does not exist)\b"
        ),
        what="could not pull its image.",
        cure="check that the registry still has it (`docker manifest inspect IMAGE`). If it was "
        "deleted, have ZenML build it again: DockerSettings(prevent_build_reuse=True).",
    ),
    Cause(
        category="stockout",
        source=Source.JOB,
        pattern=_match(r"resources are insufficient|stockout"),
        what="found no free machine: the region is out of this kind at the moment.",
        cure="run the step again later, or with another `region`, `machine_type` or "
        "`accelerator_type`. This is not a quota.",
    ),
    Cause(
        category="project",
        source=Source.REFUSAL,
        pattern=_match(r"has not been used in project|SERVICE_DISABLED"),
        cure="enable it with `gcloud services enable aiplatform.googleapis.com --project=PROJECT`.",
    ),
    Cause(
        category="permission",
        source=Source.REFUSAL,
        pattern=_match(r"aiplatform\.customJobs\."),
        cure="give the identity the role roles/aiplatform.user: `gcloud projects "
        "add-iam-policy-binding PROJECT --member=MEMBER --role=roles/aiplatform.user`.",
    ),
    Cause(
        category="project",
        source=Source.REFUSAL,
        pattern=_match(r"Permission denied on resource project"),
        cure="use the project's ID, not its name: `gcloud projects list` shows both.",
    ),
    Cause(
        category="resource",
        source=Source.REFUSAL,
        pattern=_match(r"The PersistentResource does not exist"),
        cure="name one of those that `gcloud ai persistent-resources list --project=PROJECT "
        "--region=REGION` shows as `persistent_resource_id`, or create it in the job's project and "
        "region.",
    ),
    Cause(
        category="quota",
        source=Source.JOB | Source.REFUSAL,
        pattern=_match(r"quota metrics exceed"),
        what=_OVER_QUOTA,
        cure=_RAISE_QUOTA,
        is_of_machines=True,
    ),
    Cause(
        category="quota",
        source=Source.JOB,
        pattern=_match(r"quota exceeded|exceeds? quota"),
        what=_OVER_QUOTA,
        cure=_RAISE_QUOTA,
    ),
    Cause(
        category="login",
        source=Source.REFUSAL,
        pattern=_match(r"invalid authentication credentials"),
        cure="log in again with `gcloud auth login`, or set another `service_account_path`: the "
        "access token is not accepted. A machine whose clock is wrong has this problem too.",
    ),
    Cause(
        category="memory",
        source=Source.JOB,
        pattern=_match(r"low on memory|ran out of memory|status of 137\b"),
        what="ran out of memory (or was killed with status 137).",
        cure="choose a `machine_type` with more memory, such as n1-highmem-8.",
    ),
    Cause(
        category="command",
        source=Source.JOB,
        pattern=_match(r"StartError"),
        what="could not start the step's command in its image.",
        cure=_CHECK_IMAGE,
    ),
    # Exit statuses by the convention of shells; a program that exits with 6 or 11 means its own.
    Cause(
        category="command",
        source=Source.JOB,
        pattern=_match(r"status of 127\b"),
        what="failed: the step's command, or a program that it calls, was not found (status 127).",
        cure=_CHECK_IMAGE,
    ),
    Cause(
        category="crash",
        source=Source.JOB,
        pattern=_match(r"status of 139\b"),
        what="crashed with a segmentation fault (SIGSEGV, status 139).",
        cure=_READ_LOG,
    ),
    Cause(
        category="crash",
        source=Source.JOB,
        pattern=_match(r"status of 134\b"),
        what="aborted (SIGABRT, status 134).",
        cure=_READ_LOG,
    ),
    Cause(
        category="crash",
        source=Source.JOB,
        pattern=_match(r"status of 143\b"),
        what="was ended by SIGTERM (status 143).",
        cure="look at the last lines of its log, and run the step again: SIGTERM comes from a "
        "program in the container, or from Vertex AI when it takes the machine away.",
    ),
    Cause(
        category="internal",
        source=Source.JOB,
        pattern=_match(r"internal error"),
        what="was ended by an internal error of Vertex AI.",
        cure="run the step again; if it happens again, report the job to Google Cloud support.",
    ),
)


def find_causes(source: Source, text: str) -> Iterator[Cause]:
    """The known causes that show in a text, in the order of the catalogue."""
    return (cause for cause in CAUSES if source in cause.source and cause.pattern.search(text))


def find_cause(source: Source, text: str) -> Cause | None:
    """The first known cause that shows in a text; None if none does."""
    return next(find_causes(source, text), None)
