"""What a test asks of an emulator: its jobs, what they wrote, and what clients have called.

The fixtures of the pytest plugin are these objects; without pytest, `emulated_vertex` and
`simulated_vertex` open them.
"""

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vertex_emulator.core.clock import ManualClock
from vertex_emulator.core.documents import MemoryStore
from vertex_emulator.core.errors import Json
from vertex_emulator.faults.plan import FaultPlan, refuse_unconsumed
from vertex_emulator.http.calls import CallRecord
from vertex_emulator.jobs.job import Job
from vertex_emulator.jobs.states import JobState
from vertex_emulator.jobs.timings import Timings
from vertex_emulator.logs.shapes import read_text
from vertex_emulator.persistent_resources.timings import (
    ResourceTimings,
    documented_resource_timings,
)
from vertex_emulator.runtimes.contract import Container
from vertex_emulator.runtimes.scripted import Script, ScriptedRuntime
from vertex_emulator.server import VertexEmulator

if TYPE_CHECKING:
    from typing_extensions import Self

_OK = 200
_SERVICE = "service"

# For those who wait.
AT_ONCE = Timings(queueing=0, provisioning=0, teardown=0, cleanup=0)
RESOURCES_AT_ONCE = ResourceTimings(provisioning=0, rebooting=0, updating=0)
# For those who move the clock. Mostly 3 to 6 minutes, and 7 to 65 s: recordings, public reports.
AS_ON_VERTEX_AI = Timings(queueing=5, provisioning=180, teardown=50)


class EmulatedJob:
    """A CustomJob in an emulator, as it is whenever it is asked.

    Made by `EmulatedVertex`.

    Attributes:
        name: Resource name.
        job_id: Numeric ID, a string.
    """

    def __init__(self, emulator: VertexEmulator, job: Job) -> None:
        self._emulator = emulator
        self.name = job.name
        self.job_id = job.job_id

    @property
    def request(self) -> Json:
        """What the client has sent, as API JSON, with the defaults that the service fills in."""
        return copy.deepcopy(self._now().request)

    @property
    def display_name(self) -> str:
        """Its display name."""
        return str(self._now().request["displayName"])

    @property
    def labels(self) -> dict[str, str]:
        """Its labels."""
        return dict(self._now().labels)

    @property
    def state(self) -> JobState:
        """Its state; equal to the API's name for it, such as `JOB_STATE_SUCCEEDED`."""
        return self._now().state

    @property
    def states(self) -> tuple[JobState, ...]:
        """Every state that it has had, the first one first."""
        return tuple(state for state, _ in self._now().history)

    @property
    def error(self) -> str | None:
        """Message of its error; None unless it has FAILED or was CANCELLED."""
        error = self.to_json().get("error")
        return str(error["message"]) if error else None

    @property
    def cancelled(self) -> bool:
        """Whether a client has cancelled it; true as soon as the call was answered."""
        end = f"/{self.job_id}:cancel"
        return any(call.path.endswith(end) and call.status == _OK for call in self._emulator.calls)

    def logs(self, replica: str | None = None) -> list[str]:
        """The lines that its containers have written so far, without those of the service.

        Args:
            replica: Only the lines of this one, such as `workerpool0-0`.
        """
        return [
            read_text(entry)
            for entry in self.log_entries()
            if (task := _task_of(entry)) != _SERVICE and replica in {None, task}
        ]

    def service_logs(self) -> list[str]:
        """What the service itself has written about it so far."""
        return self._emulator.log_lines(self._now().job_id, _SERVICE)

    def log_entries(self) -> list[Json]:
        """Its log entries, as Cloud Logging has them, the oldest first."""
        self._now()
        return self._emulator.log_entries(self.job_id)

    def to_json(self) -> Json:
        """The CustomJob that clients see."""
        return self._now().to_json()

    def wait(self, *states: JobState, seconds: float = 30.0) -> "Self":
        """Wait until it is in one of the states; in any terminal one by default.

        Args:
            states: The states to wait for.
            seconds: How long to wait at most, by the machine's own clock.

        Returns:
            The job itself.

        Raises:
            TimeoutError: If it does not get there in time.
            LookupError: If it has been deleted.
        """
        self._now()
        self._emulator.wait_for_state(self.job_id, *states, seconds=seconds)
        return self

    def wait_for_line(self, text: str, *, seconds: float = 30.0) -> "Self":
        """Wait until a line of its log contains a text.

        Args:
            text: The text to wait for.
            seconds: How long to wait at most, by the machine's own clock.

        Returns:
            The job itself.

        Raises:
            TimeoutError: If there is no such line in time.
            LookupError: If the job has been deleted.
        """
        self._now()
        self._emulator.wait_for_line(self.job_id, text, seconds=seconds)
        return self

    def __repr__(self) -> str:
        try:
            state = self.state.name
        except LookupError:
            state = "deleted"
        return f"<EmulatedJob {self.job_id} {state}>"

    def _now(self) -> Job:
        try:
            return self._emulator.job(self.job_id)
        except KeyError:
            raise LookupError(f"{self.name} has been deleted.") from None


class EmulatedVertex:
    """An emulator, as tests use it.

    Attributes:
        emulator: The emulator itself, for what is not here: `go_down`, `crash`, `wait_for`.

    Args:
        emulator: The emulator.
    """

    def __init__(self, emulator: VertexEmulator) -> None:
        self.emulator = emulator

    @property
    def url(self) -> str:
        """Its address, for `api_endpoint` of Google's clients."""
        return self.emulator.url

    @property
    def host(self) -> str:
        """Its address without the scheme, for AIPLATFORM_EMULATOR_HOST."""
        return self.emulator.host

    @property
    def google_environment(self) -> Mapping[str, str]:
        """The variables that lead unmodified programs here; none without `as_google=True`."""
        return self.emulator.google_environment

    @property
    def faults(self) -> FaultPlan:
        """What is to go wrong; a fault that has not happened fails the test at its end."""
        return self.emulator.faults

    @property
    def calls(self) -> tuple[CallRecord, ...]:
        """The calls of clients so far, the oldest first."""
        return self.emulator.calls

    def jobs(self) -> list[EmulatedJob]:
        """Every job, the first one first."""
        return [EmulatedJob(self.emulator, job) for job in reversed(self.emulator.jobs)]

    def job(self, name: str) -> EmulatedJob:
        """A job by its resource name or numeric ID.

        Raises:
            LookupError: If there is no such job.
        """
        try:
            return EmulatedJob(self.emulator, self.emulator.job(name))
        except KeyError:
            raise LookupError(f"There is no job {name}.") from None

    def reset(self) -> None:
        """End and forget all jobs, logs, tokens, calls and faults; returns when it is done."""
        self.emulator.reset()


class SimulatedVertex(EmulatedVertex):
    """An emulator in which nothing runs, and time passes only when a test says so.

    Jobs are queued for 5 s, provisioned for 180 s and torn down for 50 s, as on Vertex AI;
    a container runs for a minute and succeeds, unless `play` says otherwise.

    Attributes:
        clock: Its clock.
        containers: Those that have been started so far, the first one first.

    Args:
        emulator: The emulator.
        clock: The emulator's clock.
    """

    def __init__(self, emulator: VertexEmulator, clock: ManualClock) -> None:
        super().__init__(emulator)
        self.clock = clock
        self.containers: list[Container] = []
        self._play: Callable[[Container], Script] = lambda _: Script(seconds=60)

    def play(self, script: Script | Callable[[Container], Script]) -> None:
        """Choose what containers do that start from now on.

        Args:
            script: What all of them do, or a function that says what one of them does.
        """
        self._play = (lambda _: script) if isinstance(script, Script) else script

    def advance(self, seconds: float) -> None:
        """Let time pass; returns when everything that is due by then has been done.

        Args:
            seconds: At least 0.
        """
        self.clock.advance(seconds)

    def start_container(self, container: Container) -> Script:
        """What a container does; called by the emulator."""
        self.containers.append(container)
        return self._play(container)


@contextmanager
def emulated_vertex(**options: Any) -> Iterator[EmulatedVertex]:
    """Open an emulator whose jobs run as processes of this machine, without waiting before.

    Args:
        options: Arguments of `VertexEmulator`.

    Raises:
        UnconsumedFaultError: At the end, if a fault that is still planned has not happened.
    """
    at_once: dict[str, Any] = {"timings": AT_ONCE, "resource_timings": RESOURCES_AT_ONCE}
    with VertexEmulator(**{**at_once, **options}) as emulator:
        yield EmulatedVertex(emulator)
        _refuse_unconsumed(emulator)


@contextmanager
def simulated_vertex() -> Iterator[SimulatedVertex]:
    """Open an emulator in which nothing runs, with a clock that stands still.

    Raises:
        UnconsumedFaultError: At the end, if a fault that is still planned has not happened.
    """
    clock = ManualClock()
    opened: list[SimulatedVertex] = []

    def start_container(container: Container) -> Script:
        return opened[0].start_container(container)

    with VertexEmulator(
        clock=clock,
        runtime=ScriptedRuntime(start_container),
        store=MemoryStore(),
        timings=AS_ON_VERTEX_AI,
        resource_timings=documented_resource_timings(),
        seed=1,
    ) as emulator:
        opened.append(SimulatedVertex(emulator, clock))
        yield opened[0]
        _refuse_unconsumed(emulator)


def _task_of(entry: Json) -> str:
    return str(entry["resource"]["labels"]["task_name"])


def _refuse_unconsumed(emulator: VertexEmulator) -> None:
    emulator.come_back()
    refuse_unconsumed(emulator.faults.all())
