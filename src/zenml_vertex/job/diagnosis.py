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
# What may follow it, after the service's own words: the end of the log.
_BEGIN_OF_LOG = re.compile(
    r"\n|Termination reason: Error\b\.?(?: To find out more about why your job exited[^\n]*)?"
)

# How a line begins that says why a program ended: an exception, Python, Linux, or this package.
_IS_REASON = re.compile(
    r"[\s|]{0,64}(?:[\w.]{0,200}(?:Error|Exception)\b|\S{0,200}python[\d.]{0,8}: )"
    r"|.{0,400}(?:exec format error|could not read the step's environment variables)",
    re.IGNORECASE,
)
# What may be a reason, so that what was written before it did not end the program.
_MAY_BE_REASON = re.compile(r"\b(?:error|exception|fatal|not found|no such)\b", re.IGNORECASE)
_IS_WARNING = re.compile(r"[\W_]{0,64}warn|.{0,200}\w{0,40}Warning:", re.IGNORECASE)
_LEADS_TO_NEXT = "The above exception was the direct cause"
# Google's images print it, and an exception, whenever Python starts.
_IS_INNOCENT = "Error in sitecustomize"

# What a shell and what containerd call a program that is not there.
_MISSING = re.compile(
    r"\S{1,100}: (?:line )?(?:\d{1,9}: )?([\w./+-]{1,100}): (?:command )?not found$"
    r"|exec: \\?\"([\w./+-]{1,100})\\?\": "
)
_ENTRYPOINT_MODULE = "zenml.entrypoints"


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
            *([f"Logs: {url}"] if (url := name.logs_url) else []),
            f"{'      ' if url else 'Logs: '}{name.stream_logs_command}",
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
        cure="run the step again, with a longer `timeout`.",
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
    said, lines = message, [clean_line(line) for line in log]
    # The service may have the end of the log in its message.
    if (exited := _EXIT_CODE.search(message)) and (
        begin := _BEGIN_OF_LOG.search(message, exited.end())
    ):
        said = message[: begin.start()]
        lines = [*message[begin.end() :].splitlines(), *lines]
    # What the service says is certain; a log has much that did not end the container.
    if cause := find_cause(Source.LOG, said) or find_cause(Source.JOB, said):
        cure = cause.cure
        if cause.category == "command":
            cure = _find_missing(job, [*lines, said]) or cure
        return Diagnosis(cause.category, cause.what, message, cure)
    found = [
        (cause, line) for line in _find_reasons(lines) if (cause := find_cause(Source.LOG, line))
    ]
    if found:
        cause, line = min(found, key=lambda pair: CAUSES.index(pair[0]))
        return Diagnosis(cause.category, cause.what, _add(message, line), cause.cure)
    state = str(job.get("state", ""))
    if known := _BY_STATE.get(state):
        return replace(known, why=message)
    if exited:
        return Diagnosis(
            category="exit",
            what=f"failed: the step's container exited with status {exited.group(1)}.",
            why=message,
            cure="look at the last lines of its log.",
        )
    return Diagnosis(
        category="unknown",
        what=f"ended as {short_name(state)}.",
        why=message,
        cure="look at its log for the reason.",
    )


def _find_reasons(lines: Sequence[str]) -> list[str]:
    """The lines of a log that say why its program ended: of its last error, if one does.

    Warnings, and errors after which the program went on to another one, are not among them.
    """
    reasons: list[str] = []
    leads_on = is_innocent = False
    for line in lines:
        if _LEADS_TO_NEXT in line:
            leads_on = True
        elif line.startswith(_IS_INNOCENT):
            is_innocent = True
        elif not _IS_WARNING.match(line) and (
            (is_reason := _IS_REASON.match(line)) or _MAY_BE_REASON.search(line)
        ):
            if not is_innocent:
                reasons = [*(reasons if leads_on else ()), *([line] if is_reason else ())]
            leads_on = is_innocent = False
    return reasons


def _find_missing(job: dict[str, Any], lines: Sequence[str]) -> str | None:
    """What to do about a program that a command step's image lacks; None for another step."""
    pools = (job.get("jobSpec") or {}).get("workerPoolSpecs") or [{}]
    command = (pools[0].get("containerSpec") or {}).get("command") or []
    if not command or any(_ENTRYPOINT_MODULE in part for part in command):
        return None
    names = [found[1] or found[2] for line in lines if (found := _MISSING.search(line))]
    return (
        "correct the step's command, or use an image in which it can run: `docker run --rm "
        f"--entrypoint sh IMAGE -c 'command -v {names[-1] if names else 'PROGRAM'}'` prints where "
        "the program is, if the image has it."
    )


def _timed_out(seconds: float, message: str) -> Diagnosis:
    return Diagnosis(
        category="timeout",
        what=f"reached its timeout of {format_duration(seconds)}, and Vertex AI ended it.",
        why=message,
        cure="look at the end of its log, where a step that hangs shows. If it only needs longer, "
        f"set a longer `timeout`, such as timeout='{round(2 * seconds)}s'.",
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
