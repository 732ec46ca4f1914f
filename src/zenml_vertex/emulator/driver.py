"""Leads jobs through their life: takes events, keeps states, does what they ask for.

One thread waits for the times of all jobs, one thread waits for each container. A
job changes in `_apply` and nowhere else, under one lock.
"""

import logging
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from zenml_vertex.emulator import container, outcome
from zenml_vertex.emulator.api_errors import Json
from zenml_vertex.emulator.clock import Clock
from zenml_vertex.emulator.lifecycle import (
    CancelRequested,
    Due,
    Effect,
    EndReplica,
    Event,
    InternalError,
    Job,
    ReplicaEnded,
    StartReplica,
    Timings,
    WriteLine,
    advance,
    begin,
)
from zenml_vertex.emulator.log_entries import JobLogs
from zenml_vertex.emulator.names import Parent
from zenml_vertex.emulator.runtimes.contract import Container, Replica, Runtime
from zenml_vertex.emulator.store import Store

logger = logging.getLogger(__name__)

# IDs look like Google's: 19 digits.
_FIRST_ID = 10**18
_IDS = 8 * 10**18


@dataclass(slots=True)
class _Running:
    """A container from the decision to start it to its end."""

    thread: threading.Thread | None = None
    replica: Replica | None = None
    must_end: bool = False


class Driver:
    """All jobs of an emulator; safe to use from several threads.

    Args:
        store: Keeps the jobs.
        logs: Takes what jobs write.
        runtime: Runs their containers.
        clock: Where time comes from.
        timings: How long phases last.
        metadata_host: `host:port` of the metadata server.
    """

    def __init__(
        self,
        *,
        store: Store,
        logs: JobLogs,
        runtime: Runtime,
        clock: Clock,
        timings: Timings,
        metadata_host: str,
    ) -> None:
        self._store = store
        self._logs = logs
        self._runtime = runtime
        self._clock = clock
        self._timings = timings
        self._metadata_host = metadata_host
        self._jobs: dict[str, Job] = {}
        self._running: dict[str, _Running] = {}
        self._changed = threading.Condition(threading.RLock())
        self._is_stopping = False
        self._timer = threading.Thread(target=self._watch_times, name="emulator-timer")

    def start(self) -> None:
        """Take up the jobs of the store, and go on.

        To a job that ran when an emulator ended, this is an internal error of the
        platform: it is started again, twice at most.
        """
        with self._changed:
            self._jobs = {job.job_id: job for job in self._store.jobs()}
            unfinished = [job for job in self._jobs.values() if not job.is_terminal]
        for job in unfinished:
            self._runtime.end_leftovers(job.job_id)
            self._apply(job.job_id, InternalError())
        self._timer.start()

    def stop(self) -> None:
        """End every container and leave the jobs as they are; returns when all is over."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        self._timer.join()
        self._end_containers()

    def clear(self) -> None:
        """End every container and forget every job and its logs; returns when all is over."""
        with self._changed:
            self._jobs.clear()
        self._end_containers()
        with self._changed:
            self._store.clear()
            self._logs.clear()
            for job in self._jobs.values():  # created in the meantime
                self._store.put(job)

    def create(self, parent: Parent, request: Json) -> Job:
        """Create a job.

        Args:
            parent: Its project and region.
            request: The CustomJob, already checked.
        """
        now = self._clock.now()
        with self._changed:
            job_id = str(_FIRST_ID + secrets.randbelow(_IDS))
            job = Job(
                project=parent.project,
                number=parent.number,
                location=parent.location,
                job_id=job_id,
                request=request,
                create_time=now,
                update_time=now,
            )
            job, effects = begin(job, self._timings)
            self._keep(job)
            self._do(job, effects)
            return job

    def get(self, job_id: str) -> Job | None:
        """A job."""
        with self._changed:
            return self._jobs.get(job_id)

    def all(self) -> list[Job]:
        """Every job, the newest first."""
        with self._changed:
            jobs = list(self._jobs.values())
        return sorted(jobs, key=lambda job: (job.create_time, job.job_id), reverse=True)

    def cancel(self, job_id: str) -> None:
        """Ask a job to end."""
        self._apply(job_id, CancelRequested())

    def delete(self, job_id: str) -> None:
        """Forget a job; its container is ended, and its folder goes with that end."""
        with self._changed:
            self._jobs.pop(job_id, None)
            if self._end(job_id) is None:
                self._remove(job_id)

    def wait_for(self, predicate: Callable[[], bool], seconds: float) -> bool:
        """Wait until something holds; it is asked again whenever a job changes.

        Args:
            predicate: What to wait for.
            seconds: Of the machine's own clock; at most so long.

        Returns:
            Whether it holds.
        """
        with self._changed:
            return self._changed.wait_for(predicate, seconds)

    def _watch_times(self) -> None:
        with self._changed:
            while not self._is_stopping:
                for job in list(self._jobs.values()):
                    if job.due is not None and job.due <= self._clock.now():
                        self._apply_due(job)
                times = [job.due for job in self._jobs.values() if job.due is not None]
                self._clock.wait(self._changed, min(times, default=None))

    def _apply_due(self, job: Job) -> None:
        try:
            self._apply(job.job_id, Due())
        except Exception:
            # The other jobs go on; this one waits for the next start of the emulator.
            logger.exception("%s is stuck", job.name)
            self._jobs[job.job_id] = replace(job, due=None)
            self._changed.notify_all()

    def _apply(self, job_id: str, event: Event) -> None:
        with self._changed:
            job = self._jobs.get(job_id)
            if job is None or (self._is_stopping and not isinstance(event, CancelRequested)):
                return
            changed, effects = advance(job, event, self._clock.now(), self._timings)
            if changed is not job:
                self._keep(changed)
            self._do(changed, effects)

    def _keep(self, job: Job) -> None:
        before = self._jobs.get(job.job_id)
        self._store.put(job)
        self._jobs[job.job_id] = job
        if before is None or before.state is not job.state:
            logger.info("%s is %s", job.name, job.state.value)
        self._changed.notify_all()

    def _do(self, job: Job, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, WriteLine):
                self._logs.write_line(job, outcome.SERVICE_TASK, effect.text, effect.severity)
            elif isinstance(effect, EndReplica):
                self._end(job.job_id)
            elif isinstance(effect, StartReplica):
                self._start_container(job, effect.attempt)

    def _start_container(self, job: Job, attempt: int) -> None:
        running = _Running()
        running.thread = threading.Thread(
            target=self._run_container,
            args=(job, attempt, running),
            name=f"emulator-job-{job.job_id}",
        )
        self._running[job.job_id] = running
        running.thread.start()

    def _run_container(self, job: Job, attempt: int, running: _Running) -> None:
        event: Event = InternalError()
        try:
            replica = self._start_replica(job, attempt)
            with self._changed:
                running.replica = replica
                must_end = running.must_end
            if must_end:
                replica.terminate()
            event = ReplicaEnded(attempt, replica.wait())
        except Exception:
            logger.exception("The container of %s was lost", job.name)
        with self._changed:
            del self._running[job.job_id]
            if job.job_id in self._jobs:
                self._apply(job.job_id, event)
            else:
                self._remove(job.job_id)

    def _start_replica(self, job: Job, attempt: int) -> Replica:
        environment = container.build_environment(job)
        folder = self._store.job_folder(job.job_id) / f"attempt-{attempt}"
        folder.mkdir(mode=0o700)
        return self._runtime.start(
            Container(
                job_id=job.job_id,
                attempt=attempt,
                image_uri=container.container_of(job)["imageUri"],
                command=container.build_command(job, environment),
                environment=environment,
                folder=folder,
                metadata_host=self._metadata_host,
            ),
            lambda stream, line: self._logs.write_output(job, outcome.REPLICA, stream, line),
        )

    def _remove(self, job_id: str) -> None:
        self._store.remove_job(job_id)
        self._logs.forget(job_id)
        self._changed.notify_all()

    def _end(self, job_id: str) -> _Running | None:
        with self._changed:
            running = self._running.get(job_id)
            if running is None:
                return None
            running.must_end = True
            replica = running.replica
        if replica:
            replica.terminate()
        return running

    def _end_containers(self) -> None:
        with self._changed:
            job_ids = list(self._running)
        ending = [self._end(job_id) for job_id in job_ids]
        for running in ending:
            if running and running.thread:
                running.thread.join()
