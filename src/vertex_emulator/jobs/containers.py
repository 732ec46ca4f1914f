"""The containers of jobs, from the decision to start them to their ends."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from vertex_emulator.core.documents import DocumentStore
from vertex_emulator.core.ports import find_free_ports
from vertex_emulator.core.timer import Timer
from vertex_emulator.jobs import container_environment, replica_group
from vertex_emulator.jobs.cluster import (
    PRIMARY_TASK,
    Addresses,
    Task,
    list_tasks,
    name_addresses,
    place_addresses,
)
from vertex_emulator.jobs.events import Event, InternalError, ReplicaEnded
from vertex_emulator.jobs.job import Job
from vertex_emulator.jobs.replica_group import AnyReplica, ReplicaGroup, RunningReplica
from vertex_emulator.logs.entries import JobLogs
from vertex_emulator.logs.shapes import OutputLine, Writer
from vertex_emulator.runtimes.contract import (
    KILLED,
    TERMINATED,
    Adopted,
    AdoptingRuntime,
    AdoptingTimedRuntime,
    AnyRuntime,
    Container,
    DisownedError,
    Exit,
    OutputSink,
    Replica,
    Runtime,
    TimedRuntime,
)

logger = logging.getLogger(__name__)

# Where the replicas of a job meet: containers share this machine's network.
_HOST = "127.0.0.1"
# How long the output of a container that has ended meanwhile may delay the emulator.
_READ_SECONDS = 5.0


class Containers:
    """Starts and ends the containers of each job; safe to use from several threads.

    Args:
        runtime: Runs them.
        store: Gives them folders.
        logs: Takes their output.
        timer: Starts and ends scripted ones.
        metadata_host: `host:port` of the metadata server.
        ended: Called, without a lock, when a container of a job has ended.
    """

    def __init__(
        self,
        *,
        runtime: AnyRuntime,
        store: DocumentStore,
        logs: JobLogs,
        timer: Timer,
        metadata_host: str,
        ended: Callable[[Job, Event], None],
    ) -> None:
        self._runtime = runtime
        self._store = store
        self._logs = logs
        self._timer = timer
        self._metadata_host = metadata_host
        self._ended = ended
        self._groups: dict[str, ReplicaGroup] = {}
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._is_abandoned = False

    def start(self, job: Job, attempt: int, start: int = 1) -> None:
        """Start the containers of a job that has none; returns at once.

        Args:
            job: The job.
            attempt: Number of its attempt.
            start: Which start on the same machines; only what has failed is started again.
        """
        group = self._gather(job, attempt, start)
        members = tuple(group.members)
        if isinstance(self._runtime, TimedRuntime):
            runtime = self._runtime
            with self._lock:
                self._groups[job.job_id] = group
            for member in members:
                self._timer.set(member, self._timer.now(), partial(self._play, runtime, member))
            return
        for member in members:
            member.thread = threading.Thread(
                target=self._run, args=(self._runtime, member), name=_name_thread(member)
            )
        # In one step: another thread that finds them may join their threads.
        with self._lock:
            self._groups[job.job_id] = group
            self._begin(members)

    def adopt(self, job: Job) -> bool:
        """Follow the containers that another emulator has started, if all are known.

        Those that have ended meanwhile are reported before this returns, unless they have
        written much; the primary replica's comes first.
        """
        group = self._gather(job, job.attempt, 1)
        if isinstance(self._runtime, AdoptingTimedRuntime):
            return self._resume(self._runtime, group)
        if not isinstance(self._runtime, AdoptingRuntime):
            return False
        adopted: list[tuple[RunningReplica, Adopted]] = []
        for member in group.members:
            found = self._runtime.adopt(self._describe(member), self._sink_of(member, is_new=False))
            if found is None:
                for _, other in adopted:
                    other.replica.abandon()
                return False
            adopted.append((member, found))
            member.thread = threading.Thread(
                target=self._wait, args=(found.replica, member), name=_name_thread(member)
            )
        with self._lock:
            self._groups[job.job_id] = group
        for member, found in adopted:
            with self._lock:
                self._begin([member])
            if found.has_ended and member.thread:
                # A timeout that has passed since must not come first.
                member.thread.join(_READ_SECONDS)
        return True

    def forget(self, job: Job) -> None:
        """Drop what is kept of the last containers of a job for another emulator."""
        for start in (1, 2) if job.is_running_again else (1,):
            self._forget_files(job, job.attempt, start, list_tasks(job.request["jobSpec"]))

    def end(self, job_id: str, *, at_once: bool = False) -> bool:
        """Ask a job's containers to end; returns at once.

        Args:
            job_id: Numeric ID of the job.
            at_once: Whether to kill them, without a grace period.

        Returns:
            Whether it had any.
        """
        with self._lock:
            group = self._groups.get(job_id)
            members = tuple(group.members) if group else ()
        self._end_each(members, replica_group.kill if at_once else replica_group.terminate)
        return group is not None

    def end_leftovers(self, job_id: str) -> None:
        """End what a crashed emulator has left of a job's containers; returns when it is gone."""
        self._runtime.end_leftovers(job_id)

    def end_all(self) -> None:
        """End every container; returns when all are gone."""
        with self._lock:
            groups = dict(self._groups)
            threads = set(self._threads)
        for job_id, group in groups.items():
            if isinstance(self._runtime, TimedRuntime):
                self._drop(group)
            else:
                self.end(job_id)
        for thread in threads:
            thread.join()

    def abandon_all(self) -> None:
        """Leave every container running without the emulator, as a crash does."""
        with self._lock:
            self._is_abandoned = True
            running = [member for group in self._groups.values() for member in group.members]
        for member in running:
            if member.replica:
                member.replica.abandon()

    def _gather(self, job: Job, attempt: int, start: int) -> ReplicaGroup:
        if isinstance(self._runtime, TimedRuntime):
            addresses = name_addresses(job.job_id, job.request["jobSpec"])
        else:
            addresses = _find_addresses(job)
        tasks = tuple(addresses.tasks)
        if start > 1:
            tasks = tuple(task for task in tasks if task.name == job.failed_replica)
        return ReplicaGroup(job, attempt, start, addresses, tasks)

    def _begin(self, members: Iterable[RunningReplica]) -> None:
        for member in members:
            if member.thread:
                self._threads.add(member.thread)
                member.thread.start()

    def _resume(self, runtime: AdoptingTimedRuntime, group: ReplicaGroup) -> bool:
        """Go on with containers that were played; nothing of them happens before this returns."""
        resumed: list[tuple[RunningReplica, AnyReplica]] = []
        for member in group.members:
            sink = self._sink_of(member, is_new=False)
            replica = runtime.resume(
                self._describe(member), sink, self._timer, self._ender_of(member)
            )
            if replica is None:
                for _, other in resumed:
                    other.abandon()
                return False
            resumed.append((member, replica))
        with self._lock:
            self._groups[group.job.job_id] = group
        for member, replica in resumed:
            self._started(member, replica)
        return True

    def _end_each(
        self, members: Iterable[RunningReplica], end: Callable[[AnyReplica], None]
    ) -> None:
        for member in members:
            with self._lock:
                member.must_end = end
                replica = member.replica
            if replica:
                end(replica)

    def _drop(self, group: ReplicaGroup) -> None:
        """Drop scripted containers, which have no threads to wait for."""
        with self._lock:
            members = tuple(group.members)
        for member in members:
            self._timer.cancel(member)
        self._end_each(members, replica_group.abandon)
        self._runtime.end_leftovers(group.job.job_id)
        for member in members:
            self._report_end(member, None)

    def _ender_of(self, member: RunningReplica) -> Callable[[Exit], None]:
        return lambda end: self._report_end(member, end)

    def _play(self, runtime: TimedRuntime, member: RunningReplica) -> None:
        ended = self._ender_of(member)
        if member.must_end:
            # Like a container that is ended while it starts.
            ended(Exit(TERMINATED))
            return
        try:
            replica = runtime.begin(
                self._describe(member), self._sink_of(member), self._timer, ended
            )
        except Exception:
            logger.exception("Could not run %s of %s", member.task.name, member.group.job.name)
            self._report_end(member, None)
            return
        self._started(member, replica)

    def _run(self, runtime: Runtime, member: RunningReplica) -> None:
        try:
            replica = runtime.start(self._describe(member), self._sink_of(member))
        except Exception:
            logger.exception("Could not run %s of %s", member.task.name, member.group.job.name)
            self._report_end(member, None)
            with self._lock:
                self._threads.discard(threading.current_thread())
        else:
            self._wait(replica, member)

    def _wait(self, replica: Replica, member: RunningReplica) -> None:
        end = None
        try:
            self._started(member, replica)
            end = replica.wait()
        except DisownedError:
            member.must_end = None
        except Exception:
            logger.exception("Could not run %s of %s", member.task.name, member.group.job.name)
        self._report_end(member, end)
        with self._lock:
            self._threads.discard(threading.current_thread())

    def _started(self, member: RunningReplica, replica: AnyReplica) -> None:
        with self._lock:
            member.replica = replica
            must_end = member.must_end
            is_abandoned = self._is_abandoned
        if is_abandoned:
            replica.abandon()
        if must_end:
            must_end(replica)

    def _report_end(self, member: RunningReplica, end: Exit | None) -> None:
        """Tell the job that a container has ended; without an exit, the platform has lost it."""
        group = member.group
        with group.reporting:
            with self._lock:
                if member not in group.members:
                    return
                group.members.remove(member)
                group.is_lost |= end is None
                others = tuple(group.members)
                if not others and self._groups.get(group.job.job_id) is group:
                    del self._groups[group.job.job_id]
            if others and group.is_lost:
                # The job hears of it when all of its containers are gone.
                if not self._is_abandoned:
                    left = [one for one in others if not one.must_end]
                    self._end_each(left, replica_group.kill)
            else:
                self._ended(group.job, _describe_end(member, end, is_last=not others))
            with self._lock:
                group.is_kept |= self._is_abandoned and not member.must_end
            if not others and not group.is_kept:
                self._forget_files(group.job, group.attempt, group.start, group.tasks)

    def _forget_files(self, job: Job, attempt: int, start: int, tasks: Iterable[Task]) -> None:
        if isinstance(self._runtime, AdoptingRuntime):
            for task in tasks:
                self._runtime.forget(self._find_folder(job, attempt, start, task))

    def _describe(self, member: RunningReplica) -> Container:
        group, task = member.group, member.task
        job = group.job
        environment = container_environment.build_environment(job, task, group.addresses)
        self._store.folder_of(job.name)
        folder = self._find_folder(job, group.attempt, group.start, task)
        # There already if the container is adopted.
        folder.mkdir(mode=0o700, exist_ok=True)
        image_uri = container_environment.container_of(job, task)["imageUri"]
        return Container(
            job_id=job.job_id,
            attempt=group.attempt,
            start=group.start,
            replica=task.name,
            image_uri=job.images.get(task.pool_name, image_uri),
            command=container_environment.build_command(job, environment, task),
            args=container_environment.build_args(job, environment, task),
            environment=environment,
            folder=folder,
            metadata_host=self._metadata_host,
        )

    def _find_folder(self, job: Job, attempt: int, start: int, task: Task) -> Path:
        """Where a container's folder is, without making that of a job that was deleted again."""
        name = f"attempt-{attempt}" if start == 1 else f"attempt-{attempt}-start-{start}"
        if task != PRIMARY_TASK:
            name += f"-{task.name}"
        return self._store.folder / job.name / name

    def _sink_of(self, member: RunningReplica, *, is_new: bool = True) -> OutputSink:
        """Takes the output of a container; of one that is not new, what the log lacks."""
        group, name = member.group, member.task.name
        job_id = group.job.job_id
        writer = Writer(name, node=group.node_of(member.task), restarts=group.start - 1)
        seen: Mapping[str, int] = {}
        if not is_new:
            seen = self._logs.count_lines(job_id, group.attempt, name)
        numbers: dict[str, int] = {}

        def write(stream: str, line: str) -> None:
            number = numbers[stream] = numbers.get(stream, 0) + 1
            if number > seen.get(stream, 0):
                # No emulator follows a second start of another one.
                mark = (group.attempt, name, stream, number) if group.start == 1 else None
                self._logs.write(job_id, OutputLine(writer, stream, line), mark)

        return write


def _describe_end(member: RunningReplica, end: Exit | None, *, is_last: bool) -> Event:
    group = member.group
    if group.is_lost and group.start == 1:
        return InternalError()
    return ReplicaEnded(
        group.attempt,
        end or Exit(KILLED),
        group.start,
        replica=member.task.name,
        is_last=is_last,
    )


def _find_addresses(job: Job) -> Addresses:
    """Names for a single replica, and free ports of this machine for several."""
    job_spec = job.request["jobSpec"]
    count = len(list_tasks(job_spec))
    if count == 1:
        return name_addresses(job.job_id, job_spec)
    return place_addresses(job_spec, _HOST, find_free_ports(_HOST, count + 1))


def _name_thread(member: RunningReplica) -> str:
    return f"emulator-{member.task.name}-{member.group.job.job_id}"
