"""Jobs that nobody waits for, and secrets that nobody reads: what a killed client leaves behind.

Only jobs and secrets labelled with the ID of this ZenML server are considered: the step runs of
another server are unknown here.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from zenml_vertex.following.clients import Creation, Following, find_following
from zenml_vertex.following.protocols import Jobs, StepRunRecord, StepRuns
from zenml_vertex.job.identity import (
    CLIENT_LABEL,
    SERVER_LABEL,
    STEP_LABEL,
    STEP_RUN_LABEL,
    Attempt,
    JobName,
    clean_label_value,
    filter_live_jobs,
)
from zenml_vertex.job.request import JobJson
from zenml_vertex.job.secrets import SecretJson, SecretName
from zenml_vertex.job.states import interpret
from zenml_vertex.job.step_status import interpret_status
from zenml_vertex.job.times import JobTimes

# A job takes 43 to 65 s from its container's exit to its last state.
TEARDOWN = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Orphan:
    """A job that is still running although nobody waits for it."""

    name: JobName
    # Name of its step.
    step: str
    state: str
    # Why nobody waits for it.
    reason: str


@dataclass(frozen=True, slots=True)
class InspectedJob:
    """A live job, and whether somebody follows it."""

    job: JobJson
    # Its step run; None if it does not exist, or if the job names none.
    record: StepRunRecord | None
    following: Following
    # Why it is an orphan; None if it is not.
    reason: str | None

    @property
    def name(self) -> str:
        """Its resource name."""
        return str(self.job["name"])

    @property
    def step_run_id(self) -> str:
        """The step run that its label names."""
        return str(self.job.get("labels", {}).get(STEP_RUN_LABEL, ""))

    @property
    def is_awaited(self) -> bool:
        """Whether a client lives that ends the step run when the job ends."""
        return self.following.lease is not None and not self.following.is_over

    @property
    def is_left(self) -> bool:
        """Whether its client seems to have detached, which its step can write too."""
        return self.is_open and not self.reason and self.following.is_detached

    @property
    def is_open(self) -> bool:
        """Whether its step run has not finished."""
        record = self.record
        return record is not None and not interpret_status(record.status).is_finished


@dataclass(frozen=True, slots=True)
class OrphanSecret:
    """A secret that is still there although its step run has finished."""

    name: SecretName
    # Name of its step.
    step: str
    # Why nobody reads it.
    reason: str


def list_live_jobs(jobs: Jobs, parent: str, server_id: str) -> tuple[JobJson, ...]:
    """The jobs of a ZenML server that have not ended.

    Args:
        jobs: Vertex AI.
        parent: Project and region, as the API names them.
        server_id: ID of the ZenML server.

    Raises:
        VertexApiError: If they cannot be listed.
    """
    return jobs.list(parent, filter_live_jobs(SERVER_LABEL, server_id)).jobs


def find_orphans(
    live_jobs: Iterable[JobJson], step_runs: StepRuns, now: datetime
) -> Iterator[Orphan]:
    """The jobs among these that nobody waits for.

    A job whose label is not the ID of a step run comes from somebody else, and is left alone.

    Args:
        live_jobs: Jobs of this ZenML server.
        step_runs: The ZenML server.
        now: The time, with a time zone.

    Raises:
        ServerUnreachable: If the ZenML server cannot be asked.
    """
    for job in live_jobs:
        inspected = inspect_job(job, step_runs.find, now)
        if inspected.reason:
            step = job.get("labels", {}).get(STEP_LABEL, "")
            yield Orphan(JobName.parse(job["name"]), step, job["state"], inspected.reason)


def name_step_runs(live_jobs: Iterable[JobJson]) -> list[str]:
    """The IDs of step runs that jobs name, each once."""
    named = (str(job.get("labels", {}).get(STEP_RUN_LABEL, "")) for job in live_jobs)
    return sorted({each for each in named if _is_step_run_id(each)})


def inspect_job(
    job: JobJson, find: Callable[[str], StepRunRecord | None], now: datetime
) -> InspectedJob:
    """Find out whether somebody follows a job.

    Args:
        job: A job of this ZenML server.
        find: Finds a step run by its ID; None if it does not exist.
        now: The time, with a time zone.

    Raises:
        ServerUnreachable: If the ZenML server cannot be asked.
    """
    step_run_id = job.get("labels", {}).get(STEP_RUN_LABEL, "")
    if not _is_step_run_id(step_run_id) or interpret(job["state"]).is_terminal:
        return InspectedJob(job, None, Following(), None)
    record = find(step_run_id)
    if record is None:
        return InspectedJob(job, None, Following(), explain_orphan(None, now))
    creation = Creation(job["labels"].get(CLIENT_LABEL), JobTimes.read(job).created)
    following = find_following(record.metadata, record.run_metadata, now, creation)
    return InspectedJob(job, record, following, explain_orphan(record, now, following))


def find_orphan_secrets(
    listed: Iterable[SecretJson],
    step_runs: StepRuns,
    *,
    project: str,
    server_id: str,
    now: datetime,
) -> Iterator[OrphanSecret]:
    """The secrets among these that no container reads any more.

    A secret whose labels do not say what its name says comes from somebody else, and is left
    alone.

    Args:
        listed: Secrets of a project.
        step_runs: The ZenML server.
        project: The project.
        server_id: ID of the ZenML server.
        now: The time, with a time zone.

    Raises:
        ServerUnreachable: If the ZenML server cannot be asked.
    """
    ours: list[tuple[SecretName, Attempt, str]] = []
    for secret in listed:
        labels = secret.get("labels") or {}
        attempt = Attempt.read(labels)
        if attempt is None or labels.get(SERVER_LABEL) != clean_label_value(server_id):
            continue
        name = SecretName.of(project, attempt)
        is_named = str(secret.get("name", "")).endswith(f"/secrets/{name.secret_id}")
        if not is_named or not _is_step_run_id(attempt.step_run_id):
            continue
        ours.append((name, attempt, labels.get(STEP_LABEL, "")))
    records = step_runs.find_many(sorted({attempt.step_run_id for _, attempt, _ in ours}))
    for name, attempt, step in ours:
        # Not of a client that was killed: its job may still read it, and has it destroyed.
        if reason := explain_end(records[attempt.step_run_id], now):
            yield OrphanSecret(name, step, reason)


def _is_step_run_id(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def explain_orphan(
    record: StepRunRecord | None, now: datetime, following: Following | None = None
) -> str | None:
    """Why nobody waits for the job of a step run; None if somebody may.

    Args:
        record: The step run; None if it does not exist.
        now: The time, with a time zone.
        following: Who follows the job; None for what the step run says.
    """
    reason = explain_end(record, now, following)
    if reason or record is None or interpret_status(record.status).is_finished:
        return reason
    following = following or find_following(record.metadata, record.run_metadata, now)
    return following.absence


def explain_end(
    record: StepRunRecord | None, now: datetime, following: Following | None = None
) -> str | None:
    """Why a step run needs its job no longer; None if it does, or did a moment ago.

    Args:
        record: The step run; None if it does not exist.
        now: The time, with a time zone.
        following: As for `explain_orphan`.
    """
    if record is None:
        return "its step run no longer exists"
    status = interpret_status(record.status)
    if status.outcome == "completed":
        ended = record.end_time
        if ended is not None and now - ended < TEARDOWN:
            return None
        return "its step has finished"
    if not status.is_active:
        return f"its step run is {record.status}"
    if interpret_status(record.run_status).is_active:
        return None
    following = following or find_following(record.metadata, record.run_metadata, now)
    # ZenML's local orchestrator has the run of a client that detaches fail.
    return None if following.is_detached else f"its pipeline run is {record.run_status}"
