"""Runs jobs: applies events to them, keeps their states, and carries out the effects.

One timer serves all jobs; each running container has a thread. A job changes in
`apply` and nowhere else, under one lock.
"""

import logging
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta

from vertex_emulator.core.documents import DOCUMENT, DocumentStore, unreadable
from vertex_emulator.core.errors import Json
from vertex_emulator.core.folders import DataDirError
from vertex_emulator.core.names import Parent
from vertex_emulator.core.pages import Position
from vertex_emulator.core.timer import Timer
from vertex_emulator.jobs import outcome
from vertex_emulator.jobs.containers import Containers
from vertex_emulator.jobs.creation_order import CreationOrder, position_of
from vertex_emulator.jobs.events import (
    Act,
    CancelRequested,
    Due,
    Effect,
    EndReplicas,
    Event,
    FaultHappened,
    ForgetJob,
    InternalError,
    MachinesFree,
    PullImage,
    ReplicaEnded,
    Scripted,
    StartReplicas,
    WriteLine,
)
from vertex_emulator.jobs.image_pulls import ImagePulls
from vertex_emulator.jobs.job import Job
from vertex_emulator.jobs.kept import job_to_json, read_job
from vertex_emulator.jobs.lifecycle import advance, begin
from vertex_emulator.jobs.scripts import Scripts
from vertex_emulator.jobs.timings import TimingsOf
from vertex_emulator.jobs.warm_machines import WarmMachines, find_admitted, place
from vertex_emulator.logs.entries import JobLogs
from vertex_emulator.logs.shapes import LoggedJob, ServiceLine
from vertex_emulator.runtimes.contract import KILLED, AnyRuntime, Exit

logger = logging.getLogger(__name__)

COLLECTION = "customJobs"
# Google's IDs have 18 or 19 digits, and fit into an int64.
_FIRST_ID, _END_OF_IDS = 10**17, 2**63
# A disk that is full may have room again.
_KEEP_AGAIN = timedelta(seconds=5)
# How many jobs of a list are looked at without letting others in.
_LISTED_AT_ONCE = 100


class Driver:
    """All jobs of an emulator; safe to use from several threads.

    Args:
        store: Keeps the jobs.
        logs: Takes what jobs write.
        runtime: Runs their containers.
        timer: Where time comes from.
        timings: How long the phases of each job last.
        metadata_host: `host:port` of the metadata server.
        scripts: Where planned incidents of jobs come from.
        machines: The machines of persistent resources.
        ids: Draws the IDs of jobs.
    """

    def __init__(
        self,
        *,
        store: DocumentStore,
        logs: JobLogs,
        runtime: AnyRuntime,
        timer: Timer,
        timings: TimingsOf,
        metadata_host: str,
        scripts: Scripts,
        machines: WarmMachines,
        ids: random.Random,
    ) -> None:
        self._store = store
        self._logs = logs
        self._timer = timer
        self._timings = timings
        self._scripts = scripts
        self._machines = machines
        self._ids = ids
        self._jobs: dict[str, Job] = {}
        self._order = CreationOrder()
        self._changed = threading.Condition(threading.RLock())
        # IDs of the jobs whose last change is not in the store.
        self._unsaved: set[str] = set()
        self._is_stopping = False
        self._is_crashed = False
        self._containers = Containers(
            runtime=runtime,
            store=store,
            logs=logs,
            timer=timer,
            metadata_host=metadata_host,
            ended=self._on_container_ended,
        )
        self._images = ImagePulls(runtime, self.apply)

    def start(self) -> None:
        """Load the jobs of the store and continue them.

        Containers that a killed emulator has left are followed. Where one is not known, this
        is an internal error of the platform: the job is started again, twice at most.

        Raises:
            DataDirError: If a document cannot be read; no job is continued then.
        """
        self._machines.load()
        with self._changed:
            jobs = [self._load(*item) for item in self._store.items(COLLECTION)]
            self._jobs = {job.job_id: job for job in jobs}
            for job in jobs:
                self._order.add(job)
        for job in jobs:
            self._open_log(job)
            self._resume(job)
            if self._jobs[job.job_id].is_image_awaited:
                self._images.begin(job)
            self._set_timer(self._jobs[job.job_id])
        for resource in {job.resource for job in jobs if job.resource}:
            self.admit(resource)

    def _resume(self, job: Job) -> None:
        has_container = job.attempt > 0 and job.stage in {"running", "stopping", "evicting"}
        if has_container and not job.is_exit_hidden:
            if self._containers.adopt(job):
                if job.stage != "running" or job.decided:
                    # The emulator may have died before it could.
                    self._containers.end(job.job_id)
                return
        elif job.attempt:
            self._containers.forget(job)
        if not job.is_terminal:
            self._containers.end_leftovers(job.job_id)
            if not job.is_exit_hidden:
                self.apply(job.job_id, InternalError())
        elif job.is_running_again:
            self._containers.end_leftovers(job.job_id)
        if job.is_running_again:
            self.apply(job.job_id, ReplicaEnded(job.attempt, Exit(KILLED), start=2))

    def _load(self, name: str, document: Json) -> Job:
        try:
            return read_job(name, document)
        except ValueError as exc:
            raise unreadable(self._store.file_of(name, DOCUMENT) or name, exc) from exc

    def stop(self) -> None:
        """End every container and leave the jobs as they are; returns when all have ended.

        The timer has been stopped before.
        """
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        self._containers.end_all()

    def crash(self) -> None:
        """Do nothing from now on, and leave containers running."""
        with self._changed:
            self._is_stopping = self._is_crashed = True
            self._changed.notify_all()
        self._containers.abandon_all()

    def clear(self) -> None:
        """End every container and forget every job and its logs; returns when it is done."""
        with self._changed:
            jobs = list(self._jobs.values())
            for job in jobs:
                self._timer.cancel(job.job_id)
            self._jobs.clear()
            self._order.clear()
        self._containers.end_all()
        with self._changed:
            for job in jobs:
                self._remove(job)

    def create(self, parent: Parent, request: Json) -> Job:
        """Create a job.

        Args:
            parent: Its project and region.
            request: The CustomJob, already checked.

        Raises:
            ApiError: If it does not fit the persistent resource that it names.
        """
        now = self._timer.now()
        with self._changed:
            self._machines.refuse_unfit(parent, request)
            job_id = str(self._ids.randrange(_FIRST_ID, _END_OF_IDS))
            job = Job(
                project=parent.project,
                number=parent.number,
                location=parent.location,
                job_id=job_id,
                request=request,
                create_time=now,
                update_time=now,
            )
            job = replace(job, script=self._scripts.write(job))
            if job.resource:
                pools = self._machines.pools_of(job.resource)
                job = place(job, self.find_on(job.resource), pools)
            job, effects = begin(job, self._timings(job_id))
            self._open_log(job)
            self._keep(job)
            self._do(job, effects)
            # The image may be awaited by now.
            self._set_timer(self._jobs[job_id])
            return job

    def get(self, job_id: str) -> Job | None:
        """A job."""
        with self._changed:
            return self._jobs.get(job_id)

    def all(self) -> list[Job]:
        """Every job, the newest first."""
        with self._changed:
            return [self._jobs[job_id] for job_id in self._order.all()]

    def iter_newest(self, parent: str, before: Position | None = None) -> Iterator[Job]:
        """The jobs of a project and region, the newest first; what is not asked for is not read.

        Args:
            parent: Its resource name.
            before: They are older than what is there; None for all.
        """
        while True:
            with self._changed:
                job_ids = self._order.before(parent, before, _LISTED_AT_ONCE)
                jobs = [self._jobs[job_id] for job_id in job_ids]
            if not jobs:
                return
            yield from jobs
            before = position_of(jobs[-1])

    def cancel(self, job_id: str) -> None:
        """Cancel a job; returns before it has ended."""
        self.apply(job_id, CancelRequested())

    def find_on(self, resource: str) -> list[Job]:
        """The jobs on a persistent resource, or waiting for it, that have not ended."""
        with self._changed:
            jobs = self._jobs.values()
            return [job for job in jobs if job.resource == resource and not job.is_terminal]

    def admit(self, resource: str) -> None:
        """Give free machines of a persistent resource to the jobs that wait for them."""
        with self._changed:
            pools = self._machines.pools_of(resource)
            for job in find_admitted(self.find_on(resource), pools):
                self.apply(job.job_id, MachinesFree())

    def add_script(self, job_id: str, acts: tuple[Act, ...]) -> None:
        """Add acts to the script of a job."""
        self.apply(job_id, Scripted(acts))

    def delete(self, job_id: str) -> None:
        """Delete a job; its container is ended, and its folder is removed once it has ended."""
        with self._changed:
            job = self._jobs.pop(job_id, None)
            self._timer.cancel(job_id)
            if job:
                self._order.remove(job)
            if job and not self._containers.end(job_id):
                self._remove(job)

    def wait_for(self, predicate: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition is true; it is checked whenever a job changes.

        Args:
            predicate: The condition.
            seconds: How long to wait at most, by the machine's own clock.

        Returns:
            Whether it is true.
        """
        with self._changed:
            return self._changed.wait_for(predicate, seconds)

    def _apply_due(self, job_id: str) -> None:
        try:
            self.apply(job_id, Due())
        except Exception as error:
            with self._changed:
                job = self._jobs[job_id]
                # The other jobs continue; this one waits for the next start of the emulator.
                is_explained = isinstance(error, DataDirError)
                logger.error("%s is stuck: %s", job.name, error, exc_info=not is_explained)  # noqa: TRY400
                self._jobs[job_id] = replace(job, due=None, script=(), later=())
                self._changed.notify_all()

    def apply(self, job_id: str, event: Event) -> None:
        """Let something happen to a job; nothing happens to one that it does not fit."""
        with self._changed:
            job = self._jobs.get(job_id)
            if job is None or self._is_crashed:
                return
            if self._is_stopping and not isinstance(event, CancelRequested):
                return
            changed, effects = advance(job, event, self._timer.now(), self._timings(job_id))
            if changed is not job:
                self._keep(changed)
            self._do(changed, effects)
            # After the start of a container, which comes first if both are due at once.
            after = self._jobs.get(job_id)
            if after:
                self._set_timer(after)
            if job.resource and not job.is_terminal and (after is None or after.is_terminal):
                self._machines.left(job.resource)
                self.admit(job.resource)

    def _keep(self, job: Job) -> None:
        before = self._jobs.get(job.job_id)
        try:
            self._store.put(job.name, job_to_json(job))
        except DataDirError as error:
            if before is None:
                # Its creator is told.
                self._remove(job)
                raise
            self._keep_later(job, error)
        else:
            self._unsaved.discard(job.job_id)
        self._jobs[job.job_id] = job
        if before is None:
            self._order.add(job)
        if before is None or before.state is not job.state:
            logger.info("%s is %s", job.name, job.state.value)
        self._changed.notify_all()

    def _keep_later(self, job: Job, error: DataDirError) -> None:
        """Let a job continue that cannot be stored now, and try that again from time to time."""
        if job.job_id not in self._unsaved:
            logger.error("%s continues, but is not stored: %s", job.name, error)
            self._unsaved.add(job.job_id)
        moment = self._timer.now() + _KEEP_AGAIN
        self._timer.set((COLLECTION, job.job_id), moment, lambda: self._keep_again(job.job_id))

    def _keep_again(self, job_id: str) -> None:
        with self._changed:
            if job_id in self._unsaved and job_id in self._jobs and not self._is_crashed:
                self._keep(self._jobs[job_id])

    def _set_timer(self, job: Job) -> None:
        self._timer.set(job.job_id, job.next_time, lambda: self._apply_due(job.job_id))

    def _do(self, job: Job, effects: Iterable[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, WriteLine):
                state = outcome.ANNOUNCED.get(effect.text)
                self._logs.write(job.job_id, ServiceLine(effect.text, effect.severity, state))
            elif isinstance(effect, EndReplicas):
                self._containers.end(job.job_id, at_once=effect.at_once)
            elif isinstance(effect, PullImage):
                self._images.begin(job)
            elif isinstance(effect, StartReplicas):
                self._containers.start(job, effect.attempt, effect.start)
            elif isinstance(effect, ForgetJob):
                self.delete(job.job_id)
            elif isinstance(effect, FaultHappened):
                self._scripts.happened(effect.fault)

    def _on_container_ended(self, job: Job, event: Event) -> None:
        with self._changed:
            if self._is_crashed:
                return
            if job.job_id in self._jobs:
                self.apply(job.job_id, event)
            elif not isinstance(event, ReplicaEnded) or event.is_last:
                self._remove(job)

    def _open_log(self, job: Job) -> None:
        file = self._store.file_of(job.name, "log.jsonl")
        self._logs.open(LoggedJob(job.job_id, job.project, job.number), file)

    def _remove(self, job: Job) -> None:
        self._unsaved.discard(job.job_id)
        self._store.remove(job.name)
        self._logs.forget(job.job_id)
        self._changed.notify_all()
