"""Exactly one job for one attempt at a step run, whatever fails on the way.

CreateCustomJob has no request ID: when its response is lost, there is no telling whether a
job was created. So the intent is recorded on the step run first, the job carries labels
that are unique to the attempt, and after a failure that leaves the question open
jobs are searched by these labels before anything is created again.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any, TypeVar

from zenml_vertex.clock import Clock
from zenml_vertex.errors import (
    InvalidJobName,
    JobNotFound,
    RequestRejected,
    ServiceUnavailable,
    VertexStepOperatorError,
)
from zenml_vertex.following.brief import TooSlow, call_briefly
from zenml_vertex.following.ending import HURRY_SECONDS, cancel_and_verify, cancel_quietly
from zenml_vertex.following.intents import Intent
from zenml_vertex.following.metadata import (
    build_job_metadata,
    find_recorded_name,
    is_submitted_here,
)
from zenml_vertex.following.outages import OutageLog
from zenml_vertex.following.patience import Retrying, Task
from zenml_vertex.following.progress import StepLog, name_reason
from zenml_vertex.following.protocols import Jobs, StepRuns
from zenml_vertex.job.identity import (
    STEP_RUN_LABEL,
    Attempt,
    JobName,
    filter_label,
    is_builtin_job,
    is_job_of,
)
from zenml_vertex.job.request import JobJson
from zenml_vertex.job.states import interpret

T = TypeVar("T")

# Whether a list shows a job at once that was just created is not documented. The
# waits before each search, in seconds; together a minute.
SETTLE_SECONDS = (0.0, 1.0, 3.0, 8.0, 18.0, 30.0)
LISTED_AFTER_SECONDS = sum(SETTLE_SECONDS)
# A create that is later than that after the signature signs again, and its response is waited for
# so long.
_SIGNED_AGAIN_SECONDS = 30.0
_CREATE_SECONDS = 60.0
# After the signature of a client that was killed, so that nobody has to wait for its job.
LISTED_AFTER_SIGNATURE_SECONDS = _SIGNED_AGAIN_SECONDS + _CREATE_SECONDS + LISTED_AFTER_SECONDS
# A client that is leaving, mostly because of a Ctrl-C, searches for half a minute.
LEAVING_SECONDS = sum(SETTLE_SECONDS[:-1])
_SEARCH_PAUSE_SECONDS = 20.0
# How long a submission that was first looks for the job of another.
_RIVAL_SECONDS = sum(SETTLE_SECONDS[:3])
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
    log: StepLog
    # Name of the pipeline run; asked for only if the built-in operator submitted the step run.
    find_run_name: Callable[[], str]
    # What is recorded with the intent: who follows the job.
    sign: Callable[[], Mapping[str, Any]] = dict
    # Whether Google's console shows its jobs.
    has_console: bool = True
    # The ZenML project of the step run, by its ID; None for the active one.
    zenml_project: str | None = None
    # Name of the job that was created or found, until the step run has it.
    _created: JobName | None = field(default=None, init=False)
    # Whether a create may have had an effect that nobody has seen.
    _is_open: bool = field(default=False, init=False)
    # When the intent was signed last, by the clock.
    _signed_at: float = field(default=0.0, init=False)

    def submit(
        self,
        build_job: Callable[[], JobJson],
        recorded: Mapping[str, Any],
        *,
        before_create: Callable[[], None] | None = None,
    ) -> JobName:
        """Create the job, or find the one that was created, and record its name.

        Args:
            build_job: Builds the CustomJob, if one is to be created; may ask the ZenML
                server.
            recorded: Metadata of the step run. If it was submitted before, this names its
                job, or at least says that one was about to be created.
            before_create: Stores what the job needs, when it has been built and the intent to
                create it is recorded.

        Returns:
            The name of the job. If anything is raised instead, every job that could be
            reached has been cancelled.

        Raises:
            VertexApiError: If Vertex AI rejects the job, or cannot be reached.
            ServerUnreachable: If the ZenML server cannot be asked, or written to.
        """
        if known := self._find_recorded(recorded):
            if signed := self.sign():
                # Another process has signed it. Without this, the job seems to be its own still.
                with suppress(VertexStepOperatorError):
                    self._record(signed)
            return known
        try:
            found = self._search() if is_submitted_here(recorded) else None
            if found is None:
                job = self._ask_server(build_job)
                found = self._announce(recorded)
            if found is None:
                if before_create:
                    before_create()
                found = self._create(job)
            name = self._read_name(found)
            signed = self.sign() if is_submitted_here(recorded) else {}
            self._record({**build_job_metadata(name), **signed})
        except BaseException as error:
            self._abandon(error)
            raise
        return name

    def _announce(self, recorded: Mapping[str, Any]) -> JobJson | None:
        """Record the intent to create the job; the job of whoever has just recorded it before.

        The ZenML server keeps the order. Whoever comes second finds the job, or after a minute
        takes the other for dead.

        Args:
            recorded: What was known before, whose submissions have left no job.
        """
        step_run_id = self.attempt.step_run_id
        intent = Intent(step_run_id, self.parent, self.zenml_project, self.sign)
        self._signed_at = self.clock.monotonic()
        if not self._ask_server(lambda: self.step_runs.announce(intent)):
            return None
        now = self._ask_server(lambda: self.step_runs.read_metadata(step_run_id))
        rivals, is_first = intent.find_rivals(now, recorded)
        if not rivals:
            return None
        if is_first:
            # The server dates a submission before others can see it: for a moment, the other may
            # have been alone.
            return self._search(settle_seconds=_RIVAL_SECONDS)
        self.log.warn_rival()
        return self._search()

    def resume(
        self,
        recorded: Mapping[str, Any],
        *,
        read: Callable[[str], JobJson] | None = None,
        looks_once: bool = False,
    ) -> JobName | None:
        """The job of a step run that another process has submitted, or was about to submit.

        A job that is found by its labels is recorded. If the other process was killed a
        moment ago, its job gets time to be listed.

        Args:
            recorded: Metadata of the step run.
            read: Reads the job that the step run names; None for `jobs.get`.
            looks_once: Whether to wait neither for a job that may not be listed yet, nor for
                Vertex AI: the caller asks again.

        Raises:
            VertexApiError: If jobs cannot be listed now.
            ServerUnreachable: If the step run cannot be written to.
        """
        # The caller asks again, and other steps wait meanwhile.
        seconds = 0.0 if looks_once else LISTED_AFTER_SECONDS
        if known := self._find_recorded(recorded, read, patience_seconds=seconds):
            return known
        if not is_submitted_here(recorded):
            return None
        found = self._search(patience_seconds=seconds, settle_seconds=seconds)
        if found is None:
            return None
        name = self._read_name(found)
        self._record(build_job_metadata(name))
        return name

    def _find_recorded(
        self,
        recorded: Mapping[str, Any],
        read: Callable[[str], JobJson] | None = None,
        *,
        patience_seconds: float | None = None,
    ) -> JobName | None:
        """The job that the step run names, once it was read and is the step run's own.

        Whoever holds the run's token writes metadata, the step's code too. So of the name
        only the number is taken: where to ask is what the settings say.

        Raises:
            VertexApiError: If the job cannot be read now.
        """
        try:
            recorded_name = find_recorded_name(recorded)
            if recorded_name is None:
                return None
            name = f"{self.parent}/customJobs/{recorded_name.job_id}"
            pauses = chain(SETTLE_SECONDS[1:], repeat(_SEARCH_PAUSE_SECONDS))
            find = self._retry(Task.FIND, seconds=patience_seconds, pauses=pauses)
            job = find(lambda: (read or self.jobs.get)(name))
        except (JobNotFound, RequestRejected, InvalidJobName) as error:
            self.log.warn_not_its_own(error)
            return None
        if is_submitted_here(recorded):
            server_id = self._ask_server(lambda: self.step_runs.server_id)
            is_own = is_job_of(job, self.attempt, server_id)
        else:
            is_own = is_builtin_job(job, self._ask_server(self.find_run_name), self.log.step)
        if not is_own:
            self.log.warn_not_its_own(f"{name} is not the job of this step run.")
            return None
        return self._read_name(job)

    def _read_name(self, job: JobJson) -> JobName:
        return JobName.parse(job["name"]).created_in(self.parent, has_console=self.has_console)

    def _create(self, job: JobJson) -> JobJson:
        """Create the job once; if it is unclear whether that worked, search before the next try."""
        creates = 0
        while True:
            creates += 1
            try:
                created = self._retry(Task.CREATE)(lambda: self._create_once(job))
            except ServiceUnavailable as error:
                self.log.warn_unclear(error)
                if found := self._search():
                    self.log.log_found(self._read_name(found))
                    return found
                if creates == MAX_CREATES:
                    raise
                self.log.log_not_found()
            else:
                # An earlier try may have had an effect that no list has shown yet.
                return self._prefer_older(created) if self._is_open else created

    def _prefer_older(self, created: JobJson) -> JobJson:
        """The oldest job of the attempt; if they cannot be listed, the one just created."""
        try:
            return self._search() or created
        except VertexStepOperatorError as error:
            self.log.warn_unlisted(error)
            return created

    def _create_once(self, job: JobJson) -> JobJson:
        self._sign_again()
        try:
            created = self.jobs.create(self.parent, job)
        except BaseException as error:
            # Any other response of Vertex AI means that there is no job.
            is_response = isinstance(error, VertexStepOperatorError)
            if isinstance(error, ServiceUnavailable) or not is_response:
                self._is_open = True
            raise
        self._created = self._read_name(created)
        return created

    def _sign_again(self) -> None:
        """Sign again before a create that comes late: others go by the time of the signature."""
        now = self.clock.monotonic()
        if now - self._signed_at < _SIGNED_AGAIN_SECONDS:
            return
        if signed := self.sign():
            self._record(signed)
        self._signed_at = now

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
        settled = LISTED_AFTER_SECONDS if settle_seconds is None else settle_seconds
        start = self.clock.monotonic()
        pauses = chain(SETTLE_SECONDS, repeat(_SEARCH_PAUSE_SECONDS))
        retrying = self._retry(Task.FIND, seconds=patience_seconds, pauses=pauses)

        def find() -> tuple[float, list[JobJson]]:
            asked_after = self.clock.monotonic() - start
            return asked_after, self._find_jobs()

        while True:
            self.clock.sleep(next(pauses))
            asked_after, found = retrying(find)
            if found:
                return self._keep_first(found)
            if asked_after >= settled:
                return None

    def _find_jobs(self) -> list[JobJson]:
        """The jobs of the attempt: first those that have not ended, each the oldest first.

        There is more than one only after a create whose response was lost.

        Raises:
            VertexApiError: If they cannot be listed.
            ServerUnreachable: If the ZenML server has never said which one it is.
        """
        # Not by the label of the attempt, which jobs of earlier versions do not have.
        job_filter = filter_label(STEP_RUN_LABEL, self.attempt.step_run_id)
        listed = self.jobs.list(self.parent, job_filter).jobs
        server_id = self.step_runs.server_id
        found = [job for job in listed if is_job_of(job, self.attempt, server_id)]
        return sorted(found, key=_order)

    def _keep_first(self, found: Sequence[JobJson]) -> JobJson:
        kept, *duplicates = found
        for duplicate in duplicates:
            log = self.log.of(self._read_name(duplicate))
            log.warn_duplicate()
            cancel_quietly(self.jobs, log, self.clock)
        self._created = self._read_name(kept)
        self._is_open = False
        return kept

    def _record(self, metadata: Mapping[str, Any]) -> None:
        self._ask_server(lambda: self.step_runs.record(self.attempt.step_run_id, metadata))

    def _ask_server(self, call: Callable[[], T]) -> T:
        """Ask the ZenML server; a restart of it is waited out."""
        return self._retry(Task.ASK_SERVER)(call)

    def _retry(
        self, task: Task, *, seconds: float | None = None, pauses: Iterator[float] | None = None
    ) -> Retrying:
        outages = OutageLog(self.log)
        return Retrying(task, self.clock, seconds=seconds, pauses=pauses, outages=outages)

    def _abandon(self, error: BaseException) -> None:
        """Cancel the job that was created, or may have been: its step run does not name it."""
        if self._created is None and self._is_open:
            self.log.warn_searching(name_reason(error), LEAVING_SECONDS)
            try:
                if self._search(LEAVING_SECONDS, LEAVING_SECONDS) is None:
                    self.log.log_nothing_created()
            except VertexStepOperatorError as unlisted:
                self.log.log_unsearchable(unlisted)
            except BaseException:
                try:
                    call_briefly(self._cancel_listed, 2 * HURRY_SECONDS)
                except TooSlow as slow:
                    hangs = ServiceUnavailable(f"Vertex AI gave {slow}.")
                    self.log.log_unsearchable(hangs)
                raise
        if self._created is not None:
            cancel_and_verify(self.jobs, self.log.of(self._created), self.clock, after=error)

    def _cancel_listed(self) -> None:
        """Cancel what one list shows: an impatient second Ctrl-C leaves no time for more."""
        try:
            found = self._find_jobs()
        except VertexStepOperatorError as error:
            self.log.log_unsearchable(error)
            return
        for job in found:
            log = self.log.of(self._read_name(job))
            cancel_quietly(self.jobs, log, self.clock, is_leaving=True)


def _order(job: JobJson) -> tuple[bool, str]:
    return interpret(job["state"]).is_terminal, job.get("createTime", "")
