"""The containers of jobs, from the decision to start one to its end."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from vertex_emulator.core.documents import DocumentStore
from vertex_emulator.core.timer import Timer
from vertex_emulator.jobs import container_environment, outcome
from vertex_emulator.jobs.events import (
    Event,
    ImageAwaited,
    ImageReady,
    ImageUnavailable,
    InternalError,
    ReplicaEnded,
)
from vertex_emulator.jobs.job import Job
from vertex_emulator.logs.entries import JobLogs
from vertex_emulator.logs.shapes import OutputLine, Writer
from vertex_emulator.runtimes.contract import (
    KILLED,
    TERMINATED,
    AdoptingRuntime,
    AdoptingTimedRuntime,
    AnyRuntime,
    Container,
    DisownedError,
    Exit,
    ImageError,
    ImageRuntime,
    OutputSink,
    Replica,
    Runtime,
    TimedReplica,
    TimedRuntime,
)

logger = logging.getLogger(__name__)

# How long the output of a container that has ended meanwhile may delay the emulator.
_READ_SECONDS = 5.0


@dataclass(slots=True, eq=False)
class _Running:
    """A container.

    Args:
        job: Its job, as it was when the container was started.
        attempt: Number of its attempt.
        start: Which start on the same machine.
        thread: Waits for its end; None for a scripted one, which the timer ends.
        replica: None until it has started.
        must_end: Called with its replica as soon as that has started; None to let it run.
    """

    job: Job
    attempt: int
    start: int = 1
    thread: threading.Thread | None = None
    replica: Replica | TimedReplica | None = None
    must_end: Callable[[Replica | TimedReplica], None] | None = None


class Containers:
    """Starts and ends the container of each job; safe to use from several threads.

    Args:
        runtime: Runs them.
        store: Gives them folders.
        logs: Takes their output.
        timer: Starts and ends scripted ones.
        metadata_host: `host:port` of the metadata server.
        ended: Called, without a lock, when a job's container has ended.
        happened: Called, without a lock, with the events of a job's image.
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
        happened: Callable[[str, Event], None],
    ) -> None:
        self._happened = happened
        self._runtime = runtime
        self._store = store
        self._logs = logs
        self._timer = timer
        self._metadata_host = metadata_host
        self._ended = ended
        self._running: dict[str, _Running] = {}
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._is_abandoned = False

    def pull(self, job: Job) -> None:
        """Pull the image of a job, if there are images; returns at once."""
        if not isinstance(self._runtime, ImageRuntime):
            return
        self._happened(job.job_id, ImageAwaited())
        # The engine cannot be interrupted, so this thread is not joined.
        threading.Thread(
            target=self._pull,
            args=(self._runtime, job),
            name=f"emulator-pull-{job.job_id}",
            daemon=True,
        ).start()

    def _pull(self, runtime: ImageRuntime, job: Job) -> None:
        image_uri = container_environment.container_of(job)["imageUri"]
        try:
            event: Event = ImageReady(
                runtime.pull(image_uri, container_environment.architecture_of(job))
            )
            logger.info("%s has pulled %s", job.name, image_uri)
        except ImageError as error:
            event = ImageUnavailable(str(error))
        except Exception:
            logger.exception("Could not pull the image of %s", job.name)
            event = ImageUnavailable(
                f"The image {image_uri} cannot be pulled: the container engine failed."
            )
        self._happened(job.job_id, event)

    def start(self, job: Job, attempt: int, start: int = 1) -> None:
        """Start the container of a job that has none; returns at once.

        Args:
            job: The job.
            attempt: Number of its attempt.
            start: Which start on the same machine.
        """
        running = _Running(job, attempt, start)
        if isinstance(self._runtime, TimedRuntime):
            runtime = self._runtime
            with self._lock:
                self._running[job.job_id] = running
            self._timer.set(running, self._timer.now(), lambda: self._play(runtime, running))
            return
        running.thread = threading.Thread(
            target=self._run,
            args=(self._runtime, running),
            name=f"emulator-job-{job.job_id}",
        )
        # In one step: another thread that finds it may join its thread.
        with self._lock:
            self._running[job.job_id] = running
            self._threads.add(running.thread)
            running.thread.start()

    def adopt(self, job: Job) -> bool:
        """Follow the container that another emulator has started, if it is known.

        One that has ended meanwhile is reported before this returns, unless it has written much.
        """
        running = _Running(job, job.attempt)
        sink = self._sink_of(running, self._logs.count_lines(job.job_id, job.attempt))
        if isinstance(self._runtime, AdoptingTimedRuntime):
            replica = self._runtime.resume(
                self._describe(running), sink, self._timer, self._ender_of(running)
            )
            if replica:
                with self._lock:
                    self._running[job.job_id] = running
                self._started(running, replica)
            return replica is not None
        if not isinstance(self._runtime, AdoptingRuntime):
            return False
        adopted = self._runtime.adopt(self._describe(running), sink)
        if adopted is None:
            return False
        running.thread = threading.Thread(
            target=self._wait, args=(adopted.replica, running), name=f"emulator-job-{job.job_id}"
        )
        with self._lock:
            self._running[job.job_id] = running
            self._threads.add(running.thread)
            running.thread.start()
        if adopted.has_ended:
            # A timeout that has passed since must not come first.
            running.thread.join(_READ_SECONDS)
        return True

    def forget(self, job: Job) -> None:
        """Drop what is kept of the last container of a job for another emulator."""
        if isinstance(self._runtime, AdoptingRuntime):
            for start in (1, 2) if job.is_running_again else (1,):
                self._runtime.forget(self._find_folder(job, job.attempt, start))

    def end(self, job_id: str, *, at_once: bool = False) -> bool:
        """Ask a job's container to end; returns at once.

        Args:
            job_id: Numeric ID of the job.
            at_once: Whether to kill it, without a grace period.

        Returns:
            Whether it had one.
        """
        with self._lock:
            running = self._running.get(job_id)
            if running is None:
                return False
            end = _kill if at_once else _terminate
            running.must_end = end
            replica = running.replica
        if replica:
            end(replica)
        return True

    def end_leftovers(self, job_id: str) -> None:
        """End what a crashed emulator has left of a job's containers; returns when it is gone."""
        self._runtime.end_leftovers(job_id)

    def end_all(self) -> None:
        """End every container; returns when all are gone."""
        with self._lock:
            running = dict(self._running)
            threads = set(self._threads)
        for job_id, one in running.items():
            if one.thread is None:
                self._forget(one)
            else:
                self.end(job_id)
        for thread in threads:
            thread.join()

    def abandon_all(self) -> None:
        """Leave every container running without the emulator, as a crash does."""
        with self._lock:
            self._is_abandoned = True
            running = list(self._running.values())
        for one in running:
            if one.replica:
                one.replica.abandon()

    def _forget(self, running: _Running) -> None:
        """Drop a scripted container, which has no thread to wait for."""
        self._timer.cancel(running)
        with self._lock:
            running.must_end = _abandon
            replica = running.replica
        if replica:
            replica.abandon()
        self._runtime.end_leftovers(running.job.job_id)
        self._report_end(running, _lost(running))

    def _ender_of(self, running: _Running) -> Callable[[Exit], None]:
        return lambda end: self._report_end(running, _ended(running, end))

    def _play(self, runtime: TimedRuntime, running: _Running) -> None:
        ended = self._ender_of(running)
        if running.must_end:
            # Like a container that is ended while it starts.
            ended(Exit(TERMINATED))
            return
        try:
            replica = runtime.begin(
                self._describe(running), self._sink_of(running, {}), self._timer, ended
            )
        except Exception:
            logger.exception("Could not run the container of %s", running.job.name)
            self._report_end(running, _lost(running))
            return
        self._started(running, replica)

    def _run(self, runtime: Runtime, running: _Running) -> None:
        try:
            replica = runtime.start(self._describe(running), self._sink_of(running, {}))
        except Exception:
            logger.exception("Could not run the container of %s", running.job.name)
            self._report_end(running, _lost(running))
            with self._lock:
                self._threads.discard(threading.current_thread())
        else:
            self._wait(replica, running)

    def _wait(self, replica: Replica, running: _Running) -> None:
        event = _lost(running)
        try:
            self._started(running, replica)
            event = _ended(running, replica.wait())
        except DisownedError:
            running.must_end = None
        except Exception:
            logger.exception("Could not run the container of %s", running.job.name)
        self._report_end(running, event)
        with self._lock:
            self._threads.discard(threading.current_thread())

    def _started(self, running: _Running, replica: Replica | TimedReplica) -> None:
        with self._lock:
            running.replica = replica
            must_end = running.must_end
            is_abandoned = self._is_abandoned
        if is_abandoned:
            replica.abandon()
        if must_end:
            must_end(replica)

    def _report_end(self, running: _Running, event: Event) -> None:
        job_id = running.job.job_id
        with self._lock:
            if self._running.get(job_id) is running:
                del self._running[job_id]
        self._ended(running.job, event)
        with self._lock:
            is_kept = self._is_abandoned and not running.must_end
        if not is_kept and isinstance(self._runtime, AdoptingRuntime):
            self._runtime.forget(self._find_folder(running.job, running.attempt, running.start))

    def _describe(self, running: _Running) -> Container:
        job = running.job
        environment = container_environment.build_environment(job)
        self._store.folder_of(job.name)
        folder = self._find_folder(job, running.attempt, running.start)
        # There already if the container is adopted.
        folder.mkdir(mode=0o700, exist_ok=True)
        return Container(
            job_id=job.job_id,
            attempt=running.attempt,
            start=running.start,
            image_uri=job.image or container_environment.container_of(job)["imageUri"],
            command=container_environment.build_command(job, environment),
            args=container_environment.build_args(job, environment),
            environment=environment,
            folder=folder,
            metadata_host=self._metadata_host,
        )

    def _find_folder(self, job: Job, attempt: int, start: int) -> Path:
        """Where a container's folder is, without making that of a job that was deleted again."""
        name = f"attempt-{attempt}" if start == 1 else f"attempt-{attempt}-start-{start}"
        return self._store.folder / job.name / name

    def _sink_of(self, running: _Running, seen: Mapping[str, int]) -> OutputSink:
        """Takes the output of a container.

        Args:
            running: The container.
            seen: How many lines of each stream are in the log already.
        """
        # Each attempt has a machine of its own.
        writer = Writer(outcome.REPLICA, node=running.attempt, restarts=running.start - 1)
        numbers: dict[str, int] = {}

        def write(stream: str, line: str) -> None:
            number = numbers[stream] = numbers.get(stream, 0) + 1
            if number > seen.get(stream, 0):
                # No emulator follows a second start of another one.
                mark = (running.attempt, stream, number) if running.start == 1 else None
                self._logs.write(running.job.job_id, OutputLine(writer, stream, line), mark)

        return write


def _ended(running: _Running, end: Exit) -> Event:
    return ReplicaEnded(running.attempt, end, running.start)


def _lost(running: _Running) -> Event:
    """What a container has ended in that the platform has lost, or could not start."""
    return InternalError() if running.start == 1 else _ended(running, Exit(KILLED))


def _terminate(replica: Replica | TimedReplica) -> None:
    replica.terminate()


def _kill(replica: Replica | TimedReplica) -> None:
    replica.kill()


def _abandon(replica: Replica | TimedReplica) -> None:
    replica.abandon()
