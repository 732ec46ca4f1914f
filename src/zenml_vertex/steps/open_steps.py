"""Step runs that their clients have left open: taken over, ended, and their pipeline runs too.

What a client does at the end of a step, when the client is gone: ZenML's launcher publishes
that a command step has completed, and its orchestrator that the run has ended.
"""

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from uuid import UUID

from zenml.client import Client
from zenml.enums import ExecutionStatus, StackComponentType
from zenml.exceptions import IllegalOperationError
from zenml.orchestrators.publish_utils import (
    publish_pipeline_run_status_update,
    publish_successful_step_run,
)

from zenml_vertex.clock import read_time
from zenml_vertex.errors import StepRunNotFound
from zenml_vertex.following.clients import (
    CLOCK_DIFFERENCE,
    LEASE_PREFIX,
    Following,
    Lease,
    find_following,
)
from zenml_vertex.following.metadata import (
    BUILTIN_JOB_NAME_KEY,
    CLIENT_KEY,
    PARENT_KEY,
    is_submitted_here,
)
from zenml_vertex.following.submission import (
    LISTED_AFTER_SECONDS,
    LISTED_AFTER_SIGNATURE_SECONDS,
)
from zenml_vertex.job.step_status import STATUSES, interpret_status
from zenml_vertex.processes import find_this_process
from zenml_vertex.steps.records import ZenMLStepRuns, iter_step_runs, step_run_errors
from zenml_vertex.steps.server import server_errors

if TYPE_CHECKING:
    from zenml.models import PipelineRunResponse, StepRunResponse

    from zenml_vertex.steps.operator import VertexStepOperator

# ZenML calls a step `retrying` until somebody tries it again.
_OPEN = [name for name, meaning in STATUSES.items() if not meaning.is_finished] + ["retrying"]
# A step run that nobody has signed may be about to be submitted.
UNSIGNED = timedelta(minutes=15)
_MOST_PROJECTS = 100


@dataclass(frozen=True, slots=True)
class OpenStep:
    """A step run on the server that has not finished."""

    step_run: "StepRunResponse"
    run: "PipelineRunResponse"
    following: Following

    @property
    def step_run_id(self) -> str:
        """Its ID, as text."""
        return str(self.step_run.id)

    @property
    def is_awaited(self) -> bool:
        """Whether a client lives, or may live, that ends it."""
        following = self.following
        if following.lease or following.absence:
            return not following.is_over
        # One of an earlier version, or of the built-in operator; or nobody has begun to submit it.
        recorded = self.step_run.run_metadata
        if is_submitted_here(recorded) or BUILTIN_JOB_NAME_KEY in recorded:
            return True
        # ZenML waits for a resource pool, for however long.
        is_queued = self.step_run.status == ExecutionStatus.QUEUED
        created = self.step_run.created.replace(tzinfo=timezone.utc)
        return is_queued or read_time() - created < UNSIGNED

    def describe_client(self, now: datetime) -> str:
        """Who follows it or may do so, for people.

        Args:
            now: The time.
        """
        if self.following.lease or is_submitted_here(self.step_run.run_metadata):
            return self.following.describe(now)
        if BUILTIN_JOB_NAME_KEY in self.step_run.run_metadata:
            return "the client that submitted it with ZenML's own step operator"
        return "a client that has not submitted it yet"

    def count_unlisted_seconds(self, now: datetime) -> float:
        """For how many seconds more its job may exist and not be listed; 0 if it cannot.

        Args:
            now: The time.
        """
        recorded = self.step_run.run_metadata
        if not is_submitted_here(recorded):
            # Its client has not come as far as the intent to create a job.
            return 0.0
        signed = Lease.read(recorded.get(CLIENT_KEY))
        if signed is None:
            return LISTED_AFTER_SECONDS
        age = now - signed.seen
        if not signed.process.is_here():
            age -= CLOCK_DIFFERENCE
        left = LISTED_AFTER_SIGNATURE_SECONDS - age.total_seconds()
        return min(max(0.0, left), LISTED_AFTER_SECONDS)

    def __str__(self) -> str:
        return f"step `{self.step_run.name}` of run {self.run.id}"


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A pipeline run that has ended."""

    # ZenML's status.
    status: str
    # Whether ZenML can run those of its steps again that have not completed.
    can_be_retried: bool = False


def find_run(name_or_id: str) -> "PipelineRunResponse":
    """A pipeline run by its name, its ID or the beginning of one.

    Raises:
        StepRunNotFound: If there is no such run, or more than one.
        ServerUnreachable: If the server does not respond.
    """
    with server_errors():
        try:
            return Client().get_pipeline_run(name_or_id)
        except (KeyError, ValueError) as error:
            raise StepRunNotFound(
                f"There is no pipeline run `{name_or_id}`, or more than one begins like that. "
                "`zenml pipeline runs list` shows them."
            ) from error


def iter_open(flavor: str, run: "PipelineRunResponse | None") -> Iterator[OpenStep]:
    """The step runs of this package that have not finished.

    Args:
        flavor: Of its step operators.
        run: Those of a pipeline run only; None for all.

    Raises:
        ServerUnreachable: If the server does not respond.
    """
    now = read_time()
    runs: dict[UUID, PipelineRunResponse] = {run.id: run} if run else {}
    with server_errors():
        for step_run in _iter_open(run):
            run_id = step_run.pipeline_run_id
            if run_id not in runs:
                try:
                    runs[run_id] = Client().get_pipeline_run(run_id)
                except KeyError:
                    # It was deleted since, with its steps.
                    continue
            of_run = runs[run_id]
            if not is_ours(step_run, of_run, flavor):
                continue
            following = find_following(step_run.run_metadata, of_run.run_metadata, now)
            yield OpenStep(step_run, of_run, following)


def _iter_open(run: "PipelineRunResponse | None") -> "Iterator[StepRunResponse]":
    filters: dict[str, Any] = {"status": f"oneof:{json.dumps(_OPEN)}", "hydrate": True}
    if run:
        yield from iter_step_runs(pipeline_run_id=run.id, project=run.project_id, **filters)
        return
    for project in Client().list_projects(size=_MOST_PROJECTS).items:
        yield from iter_step_runs(
            project=project.id, run_metadata=[f'{PARENT_KEY}:startswith:"projects/'], **filters
        )


def is_ours(step_run: "StepRunResponse", run: "PipelineRunResponse", flavor: str) -> bool:
    """Whether this package runs a step, and not a step operator of another flavor.

    The run's stack says so. What the step run's metadata says, which a step can write, counts
    only where the stack has no such step operator any more.

    Args:
        step_run: The step run.
        run: Its pipeline run.
        flavor: Of this package's step operators.
    """
    wanted = step_run.config.step_operator
    if not wanted:
        return False
    components = run.stack.components if run.stack else {}
    found = components.get(StackComponentType.STEP_OPERATOR) or []
    # Where a stack has several, the first is ZenML's default.
    named = found[:1] if wanted is True else [one for one in found if one.name == wanted]
    if named:
        return named[0].flavor_name == flavor
    return is_submitted_here(step_run.run_metadata)


def close(operator: "VertexStepOperator", step: OpenStep, status: str) -> str:
    """Do what is left when a step has ended; its status on the server.

    Args:
        operator: Who has followed it.
        step: The step.
        status: How it has ended.

    Raises:
        StepRunNotFound: If the step run was deleted.
        ServerUnreachable: If the server does not respond.
    """
    with step_run_errors(step.step_run_id):
        if status == "completed" and step.step_run.config.command is not None:
            with suppress(IllegalOperationError):
                publish_successful_step_run(step.step_run.id, {})
        now = Client().get_run_step(step.step_run.id)
    if now.status == ExecutionStatus.RETRYING:
        # Nobody is left who would try it again, and a run with such a step never ends.
        raised = now.exception_info.message if now.exception_info else None
        reason = f"The step failed{f': {raised}' if raised else ''}".rstrip(". ")
        operator.step_runs.stop(step.step_run_id, f"{reason}. Nobody is left to retry it.")
    elif interpret_status(now.status.value).is_ending:
        # A command step does not notice that it was told to stop, and may have succeeded.
        operator.step_runs.stop(step.step_run_id, "The run was stopped, and the job has ended.")
    operator.cleanup_step_submission(step.step_run)
    return operator.step_runs.status(step.step_run_id)


def finish_run(run_id: UUID, *, is_abandoned: bool, is_forced: bool = False) -> EndedRun | None:
    """End a pipeline run whose steps have all ended and whose client is gone.

    ZenML's server computes the status of a static run from its steps, and waits for steps
    that nobody will start; that of a dynamic run it takes from the client. A run of another
    orchestrator than `local` is left to that, which lives elsewhere.

    Args:
        run_id: The run.
        is_abandoned: Whether a step of it was found that no client followed. Otherwise its
            client has to have detached, or to have ended on this machine, or before the machine
            was started again, or to have started no step of a static pipeline for 45 minutes.
        is_forced: Whether a person says that the client is gone, whatever it has signed.

    Returns:
        How the run has ended, now or before; None if it has not.

    Raises:
        StepRunNotFound: If the run does not exist.
        ServerUnreachable: If the server does not respond.
    """
    with server_errors():
        try:
            run = Client().get_pipeline_run(run_id)
        except KeyError as error:
            raise StepRunNotFound("It does not exist on the ZenML server any more.") from error
        if run.status.is_finished:
            return _read_end(run, run.status)
        steps = list(iter_step_runs(pipeline_run_id=run_id, project=run.project_id, hydrate=True))
        if not _is_local(run) or not all(one.status.is_finished for one in steps):
            return None
        others = _find_others(run, steps)
        now = read_time()
        detached = {one.process for one in others if one.is_detached}
        quiet_since = _find_quiet(run, steps)
        may_go_on = any(
            not (
                one.process in detached
                or one.has_left(now, quiet_since)
                or (is_abandoned and one.find_death(now))
            )
            for one in others
        ) or not (others or is_abandoned)
        if may_go_on and not is_forced:
            return None
        was_stopped = any(one.status == ExecutionStatus.STOPPED for one in steps)
        try:
            ended = publish_pipeline_run_status_update(
                run_id,
                ExecutionStatus.STOPPED if was_stopped else ExecutionStatus.FAILED,
                "The client that ran the pipeline has left: what it had not started will not run.",
            )
        except IllegalOperationError:
            ended = Client().get_pipeline_run(run_id, hydrate=False)
    return _read_end(run, ended.status)


def _read_end(run: "PipelineRunResponse", status: ExecutionStatus) -> EndedRun:
    # ZenML retries no static run, and none that was stopped.
    is_dynamic = run.snapshot is not None and run.snapshot.is_dynamic
    return EndedRun(status.value, is_dynamic and status == ExecutionStatus.FAILED)


def _find_quiet(run: "PipelineRunResponse", steps: "list[StepRunResponse]") -> datetime | None:
    """Since when a run whose steps have all ended has had nothing to do but to start the next.

    None if its client may be busy: with the code of a dynamic pipeline, which lasts as long as
    it likes.
    """
    ends = [one.end_time.replace(tzinfo=timezone.utc) for one in steps if one.end_time]
    is_static = run.snapshot is not None and not run.snapshot.is_dynamic
    return max(ends, default=None) if is_static else None


def iter_open_runs() -> Iterator[UUID]:
    """The pipeline runs that have not ended.

    Raises:
        ServerUnreachable: If the server does not respond.
    """
    statuses = [status.value for status in ExecutionStatus if not status.is_finished]
    with server_errors():
        for project in Client().list_projects(size=_MOST_PROJECTS).items:
            number = total = 1
            while number <= total:
                page = Client().list_pipeline_runs(
                    page=number,
                    size=_MOST_PROJECTS,
                    project=project.id,
                    sort_by="asc:created",
                    status=f"oneof:{json.dumps(statuses)}",
                )
                yield from (run.id for run in page.items)
                number, total = number + 1, page.total_pages


def _is_local(run: "PipelineRunResponse") -> bool:
    """Whether the run lives in the process of the client."""
    components = run.stack.components if run.stack else {}
    found = components.get(StackComponentType.ORCHESTRATOR) or []
    return bool(found) and found[0].flavor_name == "local"


def _find_others(run: "PipelineRunResponse", steps: "list[StepRunResponse]") -> list[Lease]:
    """The leases of other processes that have followed steps of a run."""
    here = find_this_process().client_id
    written = [step.run_metadata.get(CLIENT_KEY) for step in steps]
    written += [value for key, value in run.run_metadata.items() if key.startswith(LEASE_PREFIX)]
    leases = [lease for value in written if (lease := Lease.read(value))]
    return [lease for lease in leases if lease.process.client_id != here]


def stop(step_runs: ZenMLStepRuns, step_run_id: str, message: str) -> None:
    """Mark a step run as stopped, unless it has finished or was deleted."""
    try:
        if not interpret_status(step_runs.status(step_run_id)).is_finished:
            step_runs.stop(step_run_id, message)
    except StepRunNotFound:
        return
