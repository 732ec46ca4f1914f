"""Why a job did not succeed: what happened, why, and what to do next."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from zenml_vertex.foreign_text import clean, clean_line
from zenml_vertex.job.causes import CAUSES, Category, Source, find_cause
from zenml_vertex.job.identity import JobName
from zenml_vertex.job.states import short_name
from zenml_vertex.job.times import find_reached_timeout, format_duration

_EXIT_CODE = re.compile(r"non-zero status of (\d{1,9})")


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Why a job ended without success."""

    category: Category
    # What happened, as the rest of "Vertex AI job 123 ...".
    what: str
    # What the service said, or what is known; may be empty.
    why: str
    # What to do next; begins with a small letter.
    cure: str

    def describe(self, name: JobName) -> str:
        """The whole text that a person reads, with the links that help."""
        # No line of another program's passes for one of these.
        why = self.why.replace("\n", "\n     ")
        lines = [
            f"Vertex AI job {name.job_id} {self.what}",
            *([f"Why: {why}"] if why else []),
            f"Next: {self.cure}",
            f"Logs: {name.logs_url}",
            f"      {name.stream_logs_command}",
            f"Job:  {name}",
        ]
        return "\n".join(lines)


_BY_STATE = {
    "JOB_STATE_CANCELLED": Diagnosis(
        category="cancelled",
        what="was cancelled.",
        why="",
        cure="run the step again. A person or a program has cancelled the job; the audit logs of "
        "its project say who.",
    ),
    "JOB_STATE_EXPIRED": Diagnosis(
        category="expired",
        what="expired before it was done.",
        why="",
        cure="run the step again, with a longer `timeout` in `additional_training_job_args`.",
    ),
    "JOB_STATE_PARTIALLY_SUCCEEDED": Diagnosis(
        category="unknown",
        what="ended with only a part of its work done.",
        why="",
        cure="look at its log, and run the step again.",
    ),
}


def diagnose(job: dict[str, Any], log: Sequence[str] = ()) -> Diagnosis:
    """Explain a job that ended without success.

    Args:
        job: The CustomJob, as API JSON, in a terminal state. Its error is foreign text.
        log: The last lines that its container has written, the oldest first: foreign text.
    """
    message = clean(str((job.get("error") or {}).get("message") or ""))
    if timeout := find_reached_timeout(job):
        return _timed_out(timeout, message)
    # The service may have the end of the log in its message.
    found = [
        (cause, line)
        for line in (*message.splitlines(), *map(clean_line, log))
        if (cause := find_cause(Source.LOG, line))
    ]
    if found:
        cause, line = min(found, key=lambda pair: CAUSES.index(pair[0]))
        return Diagnosis(cause.category, cause.what, _add(message, line), cause.cure)
    if cause := find_cause(Source.JOB, message):
        return Diagnosis(cause.category, cause.what, message, cause.cure)
    state = str(job.get("state", ""))
    if known := _BY_STATE.get(state):
        return replace(known, why=message)
    if exit_code := _EXIT_CODE.search(message):
        return Diagnosis(
            category="exit",
            what=f"failed: the step's container exited with status {exit_code.group(1)}.",
            why=message,
            cure="look at the last lines of its log.",
        )
    return Diagnosis(
        category="unknown",
        what=f"ended as {short_name(state)}.",
        why=message,
        cure="look at its log for the reason.",
    )


def _timed_out(seconds: float, message: str) -> Diagnosis:
    return Diagnosis(
        category="timeout",
        what=f"reached its timeout of {format_duration(seconds)}, and Vertex AI ended it.",
        why=message,
        cure="look at the end of its log, where a step that hangs shows. If it only needs longer, "
        "set a longer `timeout` in `additional_training_job_args`, such as "
        f"{{'timeout': '{round(2 * seconds)}s'}}.",
    )


def _add(message: str, line: str) -> str:
    """What the service says, and the line of the log that says more."""
    return message if line in message else f"{message}\nIn its log: {line}"


def never_reported(state: str) -> Diagnosis:
    """Explain a container that ended well although its step never told ZenML so."""
    return Diagnosis(
        category="unreported",
        what=f"ended as {short_name(state)}, but the step never reported its result to ZenML.",
        why="the container exited with status 0 without running the step to its end, or could "
        "not reach the ZenML server.",
        cure="check that nothing in the step or the image's entrypoint ends the process "
        "(`sys.exit`, `os._exit`), and that the ZenML server's URL can be reached from Vertex AI.",
    )


def gone(reason: str) -> Diagnosis:
    """Explain a job that Vertex AI no longer knows."""
    return Diagnosis(
        category="deleted",
        what="does not exist any more.",
        why=reason,
        cure="run the step again. Somebody deleted the job, or the identity now sees another "
        "project.",
    )


def out_of_sight(reason: str) -> Diagnosis:
    """Explain a job that may still be running, but cannot be read any more."""
    return Diagnosis(
        category="unreachable",
        what="cannot be followed any longer; it may still be running.",
        why=reason,
        cure="give the identity its login and `aiplatform.customJobs.get` back (role "
        "roles/aiplatform.user), and inspect or stop the job with `gcloud ai custom-jobs "
        "describe` and `cancel`.",
    )


def not_understood(state: str, upgrade: str) -> Diagnosis:
    """Explain a job that stays in a state unknown to this version.

    Args:
        state: What Vertex AI calls it.
        upgrade: What brings a newer version of this package: the predicate of a sentence.
    """
    return Diagnosis(
        category="unknown",
        what=f"has been in state `{short_name(state)}` for hours, which is unknown to this "
        "version, and the step has reported nothing.",
        why="Google may have added the state since.",
        cure=f"{upgrade}, and run the step again.",
    )
