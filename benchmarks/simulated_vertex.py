"""A Vertex AI whose time stands still until it is moved, and which counts its calls."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from uuid import UUID

from google.auth.credentials import AnonymousCredentials

from vertex_emulator import (
    ManualClock,
    MemoryStore,
    Script,
    ScriptedRuntime,
    Timings,
    VertexEmulator,
)
from zenml_vertex.cloud.credentials import Identity
from zenml_vertex.cloud.endpoint import Endpoint
from zenml_vertex.cloud.jobs import VertexJobs
from zenml_vertex.following.follower import JobFollower
from zenml_vertex.following.intents import Intent
from zenml_vertex.following.progress import StepLog
from zenml_vertex.following.protocols import JobList, StepRunNews, StepRunRecord
from zenml_vertex.job.identity import (
    RUN_LABEL,
    SERVER_LABEL,
    STEP_RUN_LABEL,
    Attempt,
    JobName,
)
from zenml_vertex.job.request import JobJson

PROJECT, REGION = "bench-project", "europe-west4"
PARENT = f"projects/{PROJECT}/locations/{REGION}"
RUN_ID = str(UUID(int=0))
# A job is mostly provisioned for 3 min on Vertex AI (public reports).
PROVISIONING_SECONDS = 180.0
MINUTE = 60.0


def name_step_run(number: int) -> str:
    """ID of a step run."""
    return str(UUID(int=number + 1))


class SilentStepRuns:
    """A ZenML server to which no step has reported anything; implements `protocols.StepRuns`."""

    server_id = "server"

    def statuses(self, run_id: str, step_run_ids: Sequence[str]) -> Mapping[str, StepRunNews]:
        del run_id, step_run_ids
        return {}

    def status(self, step_run_id: str) -> str:
        del step_run_id
        return "running"

    def read_metadata(self, step_run_id: str) -> Mapping[str, object]:
        del step_run_id
        return {}

    def read_raised(self, step_run_id: str) -> None:
        raise NotImplementedError(step_run_id)

    def find_many(self, step_run_ids: Sequence[str]) -> Mapping[str, StepRunRecord | None]:
        raise NotImplementedError(step_run_ids)

    def find(self, step_run_id: str) -> StepRunRecord | None:
        raise NotImplementedError(step_run_id)

    def announce(self, intent: Intent) -> bool:
        raise NotImplementedError(intent)

    def record(self, step_run_id: str, metadata: Mapping[str, object]) -> None:
        raise NotImplementedError(step_run_id, metadata)

    def record_on_run(self, run_id: str, metadata: Mapping[str, object]) -> None:
        del run_id, metadata

    def fail(self, step_run_id: str, message: str) -> str:
        raise AssertionError(f"{step_run_id} failed: {message}")

    def stop(self, step_run_id: str, message: str) -> str:
        raise AssertionError(f"{step_run_id} stopped: {message}")


def build_job(
    step_run_id: str, run_id: str = RUN_ID, server_id: str = SilentStepRuns.server_id
) -> JobJson:
    """The smallest job of a step run of a ZenML server that the API accepts."""
    pool = {
        "machineSpec": {"machineType": "n1-standard-4"},
        "replicaCount": "1",
        "containerSpec": {"imageUri": "registry.example/image:1", "command": ["python"]},
    }
    return {
        "displayName": f"step {step_run_id}",
        "labels": {SERVER_LABEL: server_id, RUN_LABEL: run_id, STEP_RUN_LABEL: step_run_id},
        "jobSpec": {"workerPoolSpecs": [pool]},
    }


def connect_jobs(url: str) -> VertexJobs:
    """The operator's own client, for an emulator."""
    return VertexJobs(Identity(AnonymousCredentials(), PROJECT, "bench"), Endpoint(url))


class SynchronizedJobs:
    """Jobs of an emulator whose clock is set before each call; implements `protocols.Jobs`.

    Args:
        jobs: Google's client for it.
        synchronize: Sets the emulator's clock.
    """

    def __init__(self, jobs: VertexJobs, synchronize: Callable[[], None]) -> None:
        self._jobs = jobs
        self._synchronize = synchronize

    def create(self, parent: str, job: JobJson) -> JobJson:
        self._synchronize()
        return self._jobs.create(parent, job)

    def get(self, name: str) -> JobJson:
        self._synchronize()
        return self._jobs.get(name)

    def list(self, parent: str, job_filter: str, *, first_page_only: bool = False) -> JobList:
        self._synchronize()
        return self._jobs.list(parent, job_filter, first_page_only=first_page_only)

    def cancel(self, name: str) -> None:
        self._synchronize()
        self._jobs.cancel(name)


class SimulatedVertex:
    """An emulator and its time; implements `zenml_vertex.clock.Clock`.

    Sleeping only adds to a number. The emulator's own clock, which waits for everything
    that is due on the way, catches up when the emulator is called.

    Args:
        emulator: The emulator.
        clock: Its clock.
        jobs: Google's client for it.
    """

    def __init__(self, emulator: VertexEmulator, clock: ManualClock, jobs: VertexJobs) -> None:
        self.emulator = emulator
        self.jobs = SynchronizedJobs(jobs, self.synchronize)
        self.step_runs = SilentStepRuns()
        self._clock = clock
        self._start = clock.now()
        self._now = 0.0

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += max(0.0, seconds)

    def sleep_until(self, moment: float) -> None:
        """Let time pass until a moment of `monotonic`; no time, if it is past."""
        self._now = max(self._now, moment)

    def submit(self, number: int) -> JobFollower:
        """Create the job of a step run; the job never ends."""
        step_run_id = name_step_run(number)
        created = self.jobs.create(PARENT, build_job(step_run_id))
        return JobFollower(
            step=StepLog("train"),
            name=JobName.parse(created["name"]),
            attempt=Attempt(step_run_id),
            run_id=RUN_ID,
            reports_itself=True,
            step_runs=self.step_runs,
            clock=self,
        )

    def list_reads(self) -> list[float]:
        """Moments of `monotonic` at which jobs were read."""
        return [
            (call.time - self._start).total_seconds()
            for call in self.emulator.calls
            if call.method == "GET" and "/customJobs" in call.path
        ]

    def synchronize(self) -> None:
        """Let the emulator's clock catch up."""
        behind = self._now - (self._clock.now() - self._start).total_seconds()
        self._clock.advance(max(0.0, behind))


class _TimeIsUpError(Exception):
    """A `StoppingClock` has reached its end."""


class StoppingClock:
    """A clock that moves when someone sleeps, until its end; implements `zenml_vertex.clock.Clock`.

    It also stands in for the module `time` where ZenML's operator waits.

    Args:
        end: In seconds from now; the sleep that would reach it raises instead.
        on_sleep: Is called with the seconds of each sleep.
    """

    def __init__(self, end: float, *, on_sleep: Callable[[float], None] = lambda _: None) -> None:
        self._now = 0.0
        self._end = end
        self._on_sleep = on_sleep

    def monotonic(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        if self._now + seconds >= self._end:
            raise _TimeIsUpError
        self._now += seconds
        self._on_sleep(seconds)


def run_until_stopped(wait: Callable[[], object]) -> None:
    """Run something that waits on a `StoppingClock` until the clock stops it.

    Raises:
        RuntimeError: If it returned before.
    """
    try:
        wait()
    except _TimeIsUpError:
        return
    raise RuntimeError("The wait returned before its time was up.")


def count_by_minute(moments: Iterable[float], minutes: int) -> list[int]:
    """How many moments fall in each minute.

    Args:
        moments: Seconds from the start.
        minutes: How many minutes to count; later moments are left out.
    """
    found = Counter(int(moment // MINUTE) for moment in moments)
    return [found[minute] for minute in range(minutes)]


@contextmanager
def open_simulated_vertex() -> Iterator[SimulatedVertex]:
    """An emulator with a manual clock that runs no containers; stopped at the end."""
    clock = ManualClock()
    emulator = VertexEmulator(
        clock=clock,
        timings=Timings(provisioning=PROVISIONING_SECONDS),
        runtime=ScriptedRuntime(lambda _: Script(None)),
        store=MemoryStore(),
        seed=1,
    )
    with emulator:
        jobs = connect_jobs(emulator.url)
        try:
            yield SimulatedVertex(emulator, clock, jobs)
        finally:
            jobs.close()
