"""The steps of one step operator that this process submits, follows and ends.

Imported when the first of them is submitted or looked for: most processes that load a stack,
and every step's container, have none.
"""

import threading
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from zenml.enums import ExecutionStatus

from zenml_vertex.clock import Clock
from zenml_vertex.following.clients import sign_off
from zenml_vertex.following.ending import CANCEL_BUDGET_SECONDS, cancel_and_verify, cancel_quietly
from zenml_vertex.following.metadata import JOB_NAME_KEY, build_job_metadata
from zenml_vertex.following.watcher import Watcher
from zenml_vertex.job.identity import Attempt, JobName
from zenml_vertex.steps.interruptions import INTERRUPTIONS, stopping_when_interrupted
from zenml_vertex.steps.job_builder import build_step_job
from zenml_vertex.steps.owner import find_owner
from zenml_vertex.steps.persistent_resources import place_step
from zenml_vertex.steps.records import ZenMLStepRuns, explained
from zenml_vertex.steps.step_jobs import fail_without_job, open_follower, open_log, open_submission
from zenml_vertex.steps.step_secrets import destroy_secret, open_secret

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from zenml.config.step_run_info import StepRunInfo
    from zenml.models import StepRunResponse

    from zenml_vertex.cloud.connection import Connection
    from zenml_vertex.steps.connections import ConnectionKey, ConnectionPool
    from zenml_vertex.steps.owner import Owner


class RunningSteps:
    """The steps of a step operator, from their submission to the ends of their jobs.

    Args:
        operator: Whose steps they are.
        clock: Where time comes from.
        pool: Connections and watchers.
    """

    def __init__(self, operator: "Owner", clock: Clock, pool: "ConnectionPool") -> None:
        self._operator = operator
        self._clock = clock
        self._pool = pool
        self._step_runs: ZenMLStepRuns = operator.step_runs
        self._watchers: dict[UUID, Watcher] = {}
        self._owners: dict[UUID, Owner] = {}
        # Step runs whose jobs go on when this process has ended.
        self._detached: set[UUID] = set()
        # A dynamic pipeline submits on ten threads and asks on another.
        self._lock = threading.RLock()

    def submit(
        self, info: "StepRunInfo", entrypoint_command: list[str], environment: dict[str, str]
    ) -> None:
        """See `VertexStepOperator.submit`."""
        log = open_log(info.step_run)
        with stopping_when_interrupted(self._step_runs, str(info.step_run_id), log), explained():
            findings = self._operator.preflight.check_step(info, info.pipeline_step_name)
            key = self._operator.choose_key(findings.settings)
            connection = self._connect(key)
            info.force_write_logs()
            attempt = Attempt(str(info.step_run_id))
            submission = open_submission(info.step_run, connection, self._step_runs, self._clock)
            # Once: a create that is tried again sends the same job.
            place = cache(partial(place_step, info, findings, connection, self._pool))
            with open_secret(findings.settings, connection, self._clock, attempt, log) as secret:
                name = submission.submit(
                    lambda: build_step_job(
                        info,
                        attempt,
                        place(),
                        server_id=self._step_runs.server_id,
                        command=entrypoint_command,
                        environment=environment,
                        region=connection.region,
                        secret=secret,
                    ),
                    info.step_run.run_metadata,
                    before_create=secret.store,
                )
                try:
                    info.step_run.run_metadata.update(build_job_metadata(name))
                    watcher = self._follow(info.step_run, key, name)
                    if follower := watcher.find(str(info.step_run_id)):
                        follower.ends_with_process = findings.settings.on_client_exit == "cancel"
                    self._pool.waker.follow(watcher, str(info.step_run_id))
                    log.of(name).log_submitted()
                except BaseException as error:
                    cancel_and_verify(connection.jobs, log.of(name), self._clock, after=error)
                    raise

    def get_status(self, step_run: "StepRunResponse") -> ExecutionStatus:
        """See `VertexStepOperator.get_status`."""
        watcher = self._watch(step_run)
        if watcher is None:
            return ExecutionStatus(fail_without_job(step_run, self._step_runs))
        return ExecutionStatus(watcher.poll(str(step_run.id), patience=self._pool.patience))

    def wait(self, step_run: "StepRunResponse") -> ExecutionStatus:
        """See `VertexStepOperator.wait`."""
        watcher = self._watch(step_run)
        if watcher is None:
            return ExecutionStatus(fail_without_job(step_run, self._step_runs))
        step_run_id = str(step_run.id)
        detaches = self._find_owner(step_run).get_settings(step_run).on_client_exit == "detach"
        follower = watcher.find(step_run_id)
        detached = follower.log if follower and detaches else None
        log = open_log(step_run)
        with stopping_when_interrupted(self._step_runs, step_run_id, log, detached=detached):
            try:
                return ExecutionStatus(watcher.wait(step_run_id))
            except BaseException as error:
                if detached and isinstance(error, INTERRUPTIONS):
                    watcher.forget(step_run_id)
                    self._detached.add(step_run.id)
                    self._pool.note_detached(step_run_id)
                    sign_off(self._step_runs, step_run_id)
                else:
                    self._end_job(watcher, step_run_id, error)
                raise

    def take_over(self, step_run: "StepRunResponse") -> Watcher | None:
        """See `VertexStepOperator.take_over`."""
        return self._watch(step_run, looks_once=True)

    def cancel(self, step_run: "StepRunResponse") -> None:
        """See `VertexStepOperator.cancel`."""
        if watcher := self._watch(step_run):
            watcher.cancel(str(step_run.id))

    def clean_up(self, step_run: "StepRunResponse") -> None:
        """See `VertexStepOperator.cleanup_step_submission`."""
        try:
            self._end_after(step_run)
        finally:
            # A container reads it when it starts.
            if step_run.id not in self._detached:
                self._destroy_secret(step_run)
            self._pool.note_left(str(step_run.id))
            self._owners.pop(step_run.id, None)

    def _end_after(self, step_run: "StepRunResponse") -> None:
        """See that the job of a finished step run ends."""
        step_run_id = str(step_run.id)
        watcher = self._watchers.pop(step_run.id, None)
        follower = watcher.forget(step_run_id) if watcher else None
        if watcher is None or follower is None or follower.is_terminal:
            return
        with stopping_when_interrupted(self._step_runs, step_run_id, follower.step):
            if follower.has_reported:
                settings = self._find_owner(step_run).get_settings(step_run)
                watcher.linger(follower, settings.lingering_seconds)
            else:
                given_up = follower.is_given_up
                cancel_quietly(watcher.jobs, follower.log, self._clock, is_leaving=given_up)
                watcher.linger(follower, CANCEL_BUDGET_SECONDS, is_cancelled=True)
            self._pool.tidy(watcher)

    def _destroy_secret(self, step_run: "StepRunResponse") -> None:
        """Destroy the secret of a step run that has finished."""
        owner = self._find_owner(step_run)
        settings = owner.get_settings(step_run)
        destroy_secret(
            settings,
            lambda: self._pool.connect(owner.choose_key(settings), owner.access_connector),
            self._clock,
            Attempt(str(step_run.id)),
            open_log(step_run),
            step_operator=owner.name,
        )

    def _connect(self, key: "ConnectionKey") -> "Connection":
        return self._pool.connect(key, self._operator.access_connector)

    def _end_job(self, watcher: Watcher, step_run_id: str, error: BaseException) -> None:
        """Cancel a job that is no longer waited for, and verify that it ends.

        If an impatient second Ctrl-C comes in between, the job has not ended as far as is
        known, and `clean_up` cancels it again, once.
        """
        if follower := watcher.find(step_run_id):
            follower.is_given_up = True
            cancel_and_verify(watcher.jobs, follower.log, self._clock, after=error)
            follower.is_terminal = True

    def _find_owner(self, step_run: "StepRunResponse") -> "Owner":
        """The step operator of a step run, which is also needed at its end; looked up once."""
        with self._lock:
            if step_run.id not in self._owners:
                self._owners[step_run.id] = find_owner(step_run, self._operator)
            return self._owners[step_run.id]

    def _follow(self, step_run: "StepRunResponse", key: "ConnectionKey", name: JobName) -> Watcher:
        """Watch a job from now on; another step operator of this process may watch it already."""
        watcher = self._pool.find_watcher(key, name.parent, self._step_runs)
        known = watcher.find(str(step_run.id))
        if known is None or known.name != name:
            watcher.follow(
                open_follower(step_run, name, self._connect(key), self._step_runs, self._clock)
            )
        self._watchers[step_run.id] = watcher
        return watcher

    def _watch(self, step_run: "StepRunResponse", looks_once: bool = False) -> Watcher | None:
        """The watcher of a step run's job; None if it has no job.

        Its metadata says which job it is, and the settings where to look for it.
        """
        with self._lock:
            if watcher := self._watchers.get(step_run.id):
                return watcher
            owner = self._find_owner(step_run)
            key = owner.choose_key(owner.get_settings(step_run))
            connection = self._pool.connect(key, owner.access_connector)
            recorded: Mapping[str, Any] = step_run.run_metadata
            if JOB_NAME_KEY not in recorded:
                recorded = self._step_runs.read_metadata(str(step_run.id))
            run_id = str(step_run.pipeline_run_id)
            read = partial(self._pool.find_listed_jobs(key).get, run_id)
            submission = open_submission(step_run, connection, self._step_runs, self._clock)
            if name := submission.resume(recorded, read=read, looks_once=looks_once):
                self._pool.find_leases(self._step_runs).note_resumed(run_id, str(step_run.id))
                return self._follow(step_run, key, name)
            return None
