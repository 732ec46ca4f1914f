"""Why a job did not succeed: what, why, and what to do next.

The service's error code says little (8 is a quota, a stockout and a lack of
memory), so its text decides. Texts: the troubleshooting page,
https://cloud.google.com/vertex-ai/docs/general/troubleshooting, and public reports.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zenml_vertex.job.identity import JobName
from zenml_vertex.job.states import short_name

# ZenML colours its log.
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_EXIT_CODE = re.compile(r"non-zero status of (\d+)")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a job ended without success.

    Args:
        what: What happened, one sentence.
        why: What the service said, or what is known; may be empty.
        cure: What to do next.
    """

    what: str
    why: str
    cure: str

    def describe(self, name: JobName) -> str:
        """The whole text that a person reads, with the links that help."""
        lines = [
            f"Vertex AI job {name.job_id} {self.what}",
            *([f"Why: {self.why}"] if self.why else []),
            f"Next: {self.cure}",
            f"Logs: {name.logs_url}",
            f"      {name.stream_logs_command}",
            f"Job:  {name}",
        ]
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Rule:
    pattern: re.Pattern[str]
    what: str
    cure: str


_RULES = (
    _Rule(
        re.compile(r"resources are insufficient|stockout", re.IGNORECASE),
        "found no free machine: the region is out of this kind at the moment.",
        "run the step again later, or with another `region`, `machine_type` or "
        "`accelerator_type`. This is not a quota.",
    ),
    _Rule(
        re.compile(r"quota metrics exceed|quota exceeded|exceeds? quota", re.IGNORECASE),
        "asks for more than the project's quota in this region.",
        "ask for more of the named quota in the Google Cloud console (IAM & Admin > Quotas), or "
        "choose a smaller `machine_type` or another `region`.",
    ),
    _Rule(
        re.compile(r"low on memory|ran out of memory|status of 137\b", re.IGNORECASE),
        "ran out of memory, or was killed as if it had.",
        "choose a `machine_type` with more memory, such as n1-highmem-8.",
    ),
    _Rule(
        re.compile(r"status of 12[78]\b|StartError", re.IGNORECASE),
        "could not start the step's command in its image.",
        "check that the image has Python and the step's packages: `docker run --rm "
        "--entrypoint python IMAGE -c 'import zenml'`.",
    ),
    _Rule(
        re.compile(r"status of (?:11|139)\b"),
        "crashed with a segmentation fault (SIGSEGV).",
        "look at the last lines of its log; a native library is the usual suspect.",
    ),
    _Rule(
        re.compile(r"status of (?:6|134)\b"),
        "aborted (SIGABRT).",
        "look at the last lines of its log; a native library is the usual suspect.",
    ),
    _Rule(
        re.compile(r"internal error", re.IGNORECASE),
        "was ended by an internal error of Vertex AI.",
        "run the step again; if it happens again, report the job to Google Cloud support.",
    ),
)

# The same for an image that could not be pulled. Vertex AI's own words are not known;
# these are of registries, of container engines, and of the agents' missing permission.
_IMAGE_RULES = (
    _Rule(
        re.compile(
            r"does not have permission to access artifact registry"
            r"|\bimage\b.*(?:\bdenied\b|unauthorized|forbidden|no basic auth credentials)",
            re.IGNORECASE | re.DOTALL,
        ),
        "may not pull its image.",
        "give Vertex AI's agents, which pull images, the role roles/artifactregistry.reader: "
        "`gcloud artifacts repositories add-iam-policy-binding REPOSITORY --location=LOCATION "
        "--role=roles/artifactregistry.reader --member=serviceAccount:service-PROJECT_NUMBER@"
        "gcp-sa-aiplatform-cc.iam.gserviceaccount.com`. The job's own service account has no "
        "part in it.",
    ),
    _Rule(
        re.compile(
            r"exec format error|no match(?:ing manifest)? for (?:platform|linux/)", re.IGNORECASE
        ),
        "has an image for machines of another kind.",
        "build it for the job's machine: DockerSettings(build_config=DockerBuildConfig("
        "build_options=DockerBuildOptions(platform='linux/amd64'))); 'linux/arm64' for A4X.",
    ),
    _Rule(
        re.compile(
            r"manifest(?: for \S+)? (?:unknown|not found)|ErrImagePull|ImagePullBackOff"
            r"|\bimage\b.*\b(?:cannot be pulled|failed to pull|not found|does not exist)\b",
            re.IGNORECASE | re.DOTALL,
        ),
        "could not pull its image.",
        "look whether the registry still has it (`docker manifest inspect IMAGE`). If it was "
        "deleted, have ZenML build it again: DockerSettings(prevent_build_reuse=True).",
    ),
)

# What the log of a container says that never came to run its step: it could not
# load ZenML, the stack or the step's code.
_LOG_RULES = (
    _Rule(
        re.compile(r"exec format error", re.IGNORECASE),
        _IMAGE_RULES[1].what,
        _IMAGE_RULES[1].cure,
    ),
    _Rule(
        re.compile(r"No module named '?zenml_vertex\b"),
        "could not load the stack: zenml-vertex is not in its image.",
        "leave `install_stack_requirements` of DockerSettings at True, which installs it, or put "
        "zenml-vertex into the parent image.",
    ),
    _Rule(
        re.compile(r"No module named '?zenml'?(?![\w.])"),
        "could not run its step: ZenML is not in its image.",
        "add it, in this version: DockerSettings(requirements=['zenml==VERSION', ...]), with "
        "VERSION as `zenml version` says here.",
    ),
    _Rule(
        re.compile(r"_VALID_ANY_VALUE_TYPES|cannot import name .* from 'opentelemetry"),
        "could not import ZenML: the opentelemetry packages in its image do not fit together.",
        "name ZenML among the step's own requirements, as `zenml version` says it: "
        "DockerSettings(requirements=['zenml==VERSION', ...]). A package of Google's that was "
        "installed after ZenML has replaced what ZenML pins.",
    ),
    _Rule(
        re.compile(
            r"unsupported pickle protocol|bad magic number in|code\(\) argument|"
            r"code expected at most|"
            r"materialized under Python version '\d[^']*' but you are currently using"
        ),
        "failed, and its image has another Python than what was pickled for it.",
        "use a parent image with the Python of the machine that starts the pipeline (`python "
        "--version`), such as zenmldocker/zenml:VERSION-py3.11.",
    ),
)

_BY_STATE = {
    "JOB_STATE_CANCELLED": Diagnosis(
        what="was cancelled.",
        why="",
        cure="run the step again. A job that reaches its timeout (7 days unless set) also ends "
        "like this.",
    ),
    "JOB_STATE_EXPIRED": Diagnosis(
        what="expired before it was done.",
        why="",
        cure="run the step again, with a longer `timeout` in `additional_training_job_args`.",
    ),
    "JOB_STATE_PARTIALLY_SUCCEEDED": Diagnosis(
        what="ended with only a part of its work done.",
        why="",
        cure="look at its log, and run the step again.",
    ),
}


def diagnose(job: dict[str, Any], log: Sequence[str] = ()) -> Diagnosis:
    """Explain a job that ended without success.

    Args:
        job: The CustomJob, as API JSON, in a terminal state.
        log: The last lines that its container has written, the oldest first.
    """
    message = str((job.get("error") or {}).get("message") or "").strip()
    # The service may have the end of the log in its message.
    for rule in _LOG_RULES:
        for line in (*message.splitlines(), *log):
            if rule.pattern.search(line):
                return Diagnosis(what=rule.what, why=_add(message, line), cure=rule.cure)
    for rule in (*_IMAGE_RULES, *_RULES):
        if rule.pattern.search(message):
            return Diagnosis(what=rule.what, why=message, cure=rule.cure)
    state = str(job.get("state", ""))
    if known := _BY_STATE.get(state):
        return Diagnosis(what=known.what, why=message, cure=known.cure)
    if exit_code := _EXIT_CODE.search(message):
        return Diagnosis(
            what=f"failed: the step's container exited with status {exit_code.group(1)}.",
            why=message,
            cure="look at the last lines of its log.",
        )
    return Diagnosis(
        what=f"ended as {short_name(state)}.", why=message, cure="look at its log for the reason."
    )


def _add(message: str, line: str) -> str:
    """What the service says, and the line of the log that says more."""
    said = _COLOR.sub("", line).strip()
    return message if said in message else f"{message}\n     In its log: {said}"


def never_reported(state: str) -> Diagnosis:
    """Explain a container that ended well and whose step never told ZenML so."""
    return Diagnosis(
        what=f"ended as {short_name(state)}, but the step never reported its result to ZenML.",
        why="the container exited with status 0 without running the step to its end, or could "
        "not reach the ZenML server.",
        cure="check that nothing in the step or the image's entrypoint ends the process "
        "(`sys.exit`, `os._exit`), and that the ZenML server's URL can be reached from Vertex AI.",
    )


def gone(reason: str) -> Diagnosis:
    """Explain a job that Vertex AI no longer knows."""
    return Diagnosis(
        what="does not exist any more.",
        why=reason,
        cure="somebody deleted it, or the identity now sees another project. Run the step again.",
    )


def out_of_sight(reason: str) -> Diagnosis:
    """Explain a job that may still run, but cannot be asked about any more."""
    return Diagnosis(
        what="cannot be followed any longer; it may still be running.",
        why=reason,
        cure="give the identity its login and `aiplatform.customJobs.get` back (role "
        "roles/aiplatform.user), and see to the job with `gcloud ai custom-jobs describe` and "
        "`cancel`.",
    )


def not_understood(state: str) -> Diagnosis:
    """Explain a job that stays in a state which this version does not know."""
    return Diagnosis(
        what=f"has been in state `{short_name(state)}` for hours, which this version does not "
        "know, and the step has reported nothing.",
        why="Google may have added the state since.",
        cure="run `pip install -U zenml-vertex`, and the step again.",
    )
