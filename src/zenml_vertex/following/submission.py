"""Exactly one job for one attempt at a step run, whatever fails on the way.

CreateCustomJob has no request ID: when its response is lost, there is no telling whether a
job was created. So the intent is recorded on the step run first, the job carries labels
that are unique to the attempt, and after a failure that leaves the question open
jobs are searched by these labels before anything is created again.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any, TypeVar

from zenml_vertex.clock import Clock
from zenml_vertex.errors import ServiceUnavailable, VertexStepOperatorError
from zenml_vertex.following.ending import cancel_and_verify, cancel_quietly
from zenml_vertex.following.metadata import PARENT_KEY, build_job_metadata, find_recorded_name
from zenml_vertex.following.patience import Retrying, Task
from zenml_vertex.following.progress import name_reason
from zenml_vertex.following.protocols import Jobs, StepRuns
from zenml_vertex.job.identity import STEP_RUN_LABEL, Attempt, JobName, filter_label
from zenml_vertex.job.request import JobJson
from zenml_vertex.job.states import interpret

logger = logging.getLogger(__name__)

T = TypeVar("T")

# Whether a list shows a job at once that was just created is not documented. The
# waits before each search, in seconds; together a minute.
SETTLE_SECONDS = (0.0, 1.0, 3.0, 8.0, 18.0, 30.0)
# A client that is leaving, mostly because of a Ctrl-C, searches for half a minute.
LEAVING_SECONDS = sum(SETTLE_SECONDS[:-1])
_SEARCH_PAUSE_SECONDS = 20.0
# How often a job is created again after it was not found. Each time costs the waits.
MAX_CREATES = 3


@dataclass(slots=True)
class Submission:
    """The one job of an attempt at a step run."""

    jobs: Jobs
    step_runs: StepRuns
    clock: Clock
    # Project and region, as the API names them.
    parent: str
    attempt: Attempt
    # Name of the job that was created or found, until the step run has it.
    _created: str | None = field(default=None, init=False)
    # Whether a create may have had an effect that nobody has seen.
    _is_open: bool = field(default=False, init=False)

    def submit(self, build_job: Callable[[], JobJson], recorded: Mapping[str, Any]) -> JobName:
        """Create the job, or find the one that was created, and record its name.

        Args:
            build_job: Builds the CustomJob, if one is to be created; may ask the ZenML
                server.
            recorded: Metadata of the step run. If it was submitted before, this names its
                job, or at least says that one was about to be created.

        Returns:
            The name of the job. If anything is raised instead, every job that could be
            reached has been cancelled.

        Raises:
            VertexApiError: If Vertex AI rejects the job, or cannot be reached.
            ServerUnreachable: If the ZenML server cannot be asked, or written to.
        """
        if known := find_recorded_name(recorded):
            return known
        try:
            found = self._search() if PARENT_KEY in recorded else None
            if found is None:
                job = self._ask_server(build_job)
                self._record({PARENT_KEY: self.parent})
                found = self._create(job)
            name = JobName.parse(found["name"])
            self._record(build_job_metadata(name))
        except BaseException as error:
            self._abandon(name_reason(error))
            raise
        return name

    def resume(self, recorded: Mapping[str, Any]) -> JobName | None:
        """The job of a step run that another process has submitted, or was about to submit.

        A job that is found by its labels is recorded. If the other process was killed a
        moment ago, its job gets time to be listed.

        Args:
            recorded: Metadata of the step run.

        Raises:
            VertexApiError: If jobs cannot be listed now.
            ServerUnreachable: If the step run cannot be written to.
        """
        if known := find_recorded_name(recorded):
            return known
        if PARENT_KEY not in recorded:
            return None
        # The caller asks again, and other steps wait meanwhile.
        found = self._search(patience_seconds=sum(SETTLE_SECONDS))
        if found is None:
            return None
        name = JobName.parse(found["name"])
        self._record(build_job_metadata(name))
        return name

    def _create(self, job: JobJson) -> JobJson:
        """Create the job once; if it is unclear whether that worked, search before the next try."""
        creates = 0
        while True:
            creates += 1
            try:
                created = Retrying(Task.CREATE, self.clock)(lambda: self._create_once(job))
            except ServiceUnavailable as error:
                logger.warning(
                    "%s Unclear whether a job was created; searching for it by label.", error
                )
                if found := self._search():
                    logger.info("Vertex AI job %s was created after all.", found["name"])
                    return found
                if creates == MAX_CREATES:
                    raise
                logger.info("No job was found; creating it again.")
            else:
                # An earlier try may have had an effect that no list has shown yet.
                return self._prefer_older(created) if self._is_open else created

    def _prefer_older(self, created: JobJson) -> JobJson:
        """The oldest job of the attempt; if they cannot be listed, the one just created."""
        try:
            return self._search() or created
        except VertexStepOperatorError as error:
            logger.warning("%s", error)
            return created

    def _create_once(self, job: JobJson) -> JobJson:
        try:
            created = self.jobs.create(self.parent, job)
        except BaseException as error:
            # Any other response of Vertex AI means that there is no job.
            is_response = isinstance(error, VertexStepOperatorError)
            if isinstance(error, ServiceUnavailable) or not is_response:
                self._is_open = True
            raise
        self._created = created["name"]
        return created

    def _search(
        self, patience_seconds: float | None = None, settle_seconds: float | None = None
    ) -> JobJson | None:
        """The job of this attempt, if there is one; cancels all others.

        Args:
            patience_seconds: How long lists that fail are tried again; None for ten minutes.
            settle_seconds: How late a list has to be to be believed that has no job; None for
                after all waits.

        Raises:
            VertexStepOperatorError: If jobs cannot be listed, so that the question stays open.
        """
        settled = sum(SETTLE_SECONDS) if settle_seconds is None else settle_seconds
        start = self.clock.monotonic()
        pauses = chain(SETTLE_SECONDS, repeat(_SEARCH_PAUSE_SECONDS))
        retrying = Retrying(Task.FIND, self.clock, seconds=patience_seconds, pauses=pauses)

        def find() -> tuple[float, list[JobJson]]:
            asked_after = self.clock.monotonic() - start
            return asked_after, find_jobs(self.jobs, self.parent, self.attempt)

        while True:
            self.clock.sleep(next(pauses))
            asked_after, found = retrying(find)
            if found:
                return self._keep_first(found)
            if asked_after >= settled:
                return None

    def _keep_first(self, found: Sequence[JobJson]) -> JobJson:
        kept, *duplicates = found
        for duplicate in duplicates:
            logger.warning(
                "Vertex AI job %s is a duplicate for its step; cancelling it.", duplicate["name"]
            )
            cancel_quietly(self.jobs, JobName.parse(duplicate["name"]), self.clock)
        self._created = kept["name"]
        self._is_open = False
        return kept

    def _record(self, metadata: Mapping[str, Any]) -> None:
        self._ask_server(lambda: self.step_runs.record(self.attempt.step_run_id, metadata))

    def _ask_server(self, call: Callable[[], T]) -> T:
        """Ask the ZenML server; a restart of it is waited out."""
        return Retrying(Task.ASK_SERVER, self.clock)(call)

    def _abandon(self, reason: str) -> None:
        """Cancel the job that was created, or may have been: its step run does not name it."""
        if self._created is None and self._is_open:
            logger.warning(
                "%s: unclear whether a Vertex AI job was created; searching for it for %.0f s.",
                reason,
                LEAVING_SECONDS,
            )
            try:
                if self._search(LEAVING_SECONDS, LEAVING_SECONDS) is None:
                    logger.info("No Vertex AI job was found.")
            except VertexStepOperatorError as error:
                logger.error(  # noqa: TRY400 - the message is written for people
                    "A Vertex AI job may have been created, and jobs cannot be listed: %s Check "
                    "later with: zenml-vertex jobs list --orphans",
                    error,
                )
            except BaseException:
                self._cancel_listed()
                raise
        if self._created is not None:
            logger.error("%s: cancelling Vertex AI job %s.", reason, self._created)
            cancel_and_verify(self.jobs, JobName.parse(self._created), self.clock)

    def _cancel_listed(self) -> None:
        """Cancel what one list shows: an impatient second Ctrl-C leaves no time for more."""
        try:
            found = find_jobs(self.jobs, self.parent, self.attempt)
        except VertexStepOperatorError as error:
            logger.warning("%s", error)
            return
        for job in found:
            cancel_quietly(self.jobs, JobName.parse(job["name"]), self.clock, patience_seconds=0)


def find_jobs(jobs: Jobs, parent: str, attempt: Attempt) -> list[JobJson]:
    """The jobs of an attempt: first those that have not ended, each the oldest first.

    There is more than one only after a create whose response was lost.

    Raises:
        VertexApiError: If they cannot be listed.
    """
    # Not by the label of the attempt, which jobs of earlier versions do not have.
    listed = jobs.list(parent, filter_label(STEP_RUN_LABEL, attempt.step_run_id)).jobs
    found = [job for job in listed if Attempt.read(job.get("labels", {})) == attempt.as_labelled]
    return sorted(found, key=_order)


def _order(job: JobJson) -> tuple[bool, str]:
    return interpret(job["state"]).is_terminal, job.get("createTime", "")
