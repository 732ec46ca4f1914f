"""The world of a trial: an emulator of Vertex AI, and a clock that moves when someone sleeps.

One world serves many trials, because an emulator takes a tenth of a second to stop.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any

from typing_extensions import Self

from campaign.trial import EmulatorCrash
from vertex_emulator import (
    Container,
    Job,
    ManualClock,
    MemoryStore,
    Script,
    ScriptedRuntime,
    Timings,
    VertexEmulator,
    job_from_json,
)
from vertex_emulator.faults import Fault, Interruption

if TYPE_CHECKING:
    from vertex_emulator.faults import Planned

TIMINGS = Timings(queueing=5, provisioning=60, teardown=50)


class RecordingStore(MemoryStore):
    """Keeps every job that was ever created, also deleted ones."""

    def __init__(self) -> None:
        super().__init__()
        self._documents_seen: dict[str, dict[str, Any]] = {}
        self._names_deleted: set[str] = set()

    def put(self, name: str, document: dict[str, Any]) -> None:
        self._documents_seen[name] = document
        super().put(name, document)

    def remove(self, name: str) -> None:
        self._names_deleted.add(name)
        super().remove(name)

    def list_jobs(self) -> list[tuple[Job, bool]]:
        """Every job in its last state, and whether it was deleted."""
        return [
            (job_from_json(document), name in self._names_deleted)
            for name, document in self._documents_seen.items()
            if "/customJobs/" in name
        ]

    def forget(self) -> None:
        """Forget every job."""
        self._documents_seen.clear()
        self._names_deleted.clear()


@dataclass(frozen=True, slots=True)
class _Event:
    """An action at a moment, in the thread that moves the clock."""

    moment: datetime
    act: Callable[[], object]


class World:
    """Vertex AI and time; a context manager."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self._beginning = self.clock.now()
        self._play: Callable[[Container], Script] = lambda _: Script()
        self._is_down = False
        self._events: list[_Event] = []
        self._planned: dict[int, list[Planned]] = {}
        self._crashes: dict[int, int] = {}
        # When it came back after a crash.
        self._returns: list[datetime] = []
        self.store = RecordingStore()
        self._emulator = self._build(port=0)

    def __enter__(self) -> Self:
        self._emulator.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._come_back()
        self._emulator.stop()

    @property
    def host(self) -> str:
        """`host:port` of Vertex AI."""
        return self._emulator.host

    @property
    def url(self) -> str:
        """Address of Vertex AI."""
        return self._emulator.url

    def begin(self, play: Callable[[Container], Script]) -> None:
        """Begin a trial; nothing is left of the last one.

        Args:
            play: What containers do from now on.
        """
        self._come_back()
        self._events.clear()
        self._emulator.faults.clear()
        self._emulator.reset()
        self.store.forget()
        self._planned.clear()
        self._crashes.clear()
        self._returns.clear()
        self._play = play

    def plan(self, key: int, faults: Sequence[Fault], seed: str) -> None:
        """Plan faults.

        Args:
            key: Under which `count_hits` counts them.
            faults: The faults.
            seed: Of what they draw.
        """
        number = sum(map(ord, seed))
        self._planned[key] = list(self._emulator.faults.plan_all(faults, seed=number))

    def plan_crash(self, key: int, crash: EmulatorCrash) -> None:
        """Let Vertex AI crash in the middle of a call."""

        def act() -> None:
            if not self._is_down:
                self._is_down = True
                self._crashes[key] = 1
                self._emulator.crash()
                self.schedule(crash.seconds, self._come_back)

        fault = Interruption(crash.method, call=crash.nth, act=act, after_effect=crash.after_effect)
        self._emulator.faults.plan(fault)

    def count_hits(self, key: int) -> int:
        """How often what was planned under a key happened."""
        planned = self._planned.get(key, [])
        return sum(one.hits for one in planned) + self._crashes.get(key, 0)

    def find_recoveries(self) -> list[datetime]:
        """When Vertex AI came back, or began to answer calls that it had failed for some time."""
        planned = [one.end for several in self._planned.values() for one in several]
        return [*self._returns, *(end for end in planned if end)]

    def find_live_jobs(self) -> set[str]:
        """IDs of the jobs that nobody ended or cancelled."""
        return {
            job.job_id
            for job, is_deleted in self.store.list_jobs()
            if not is_deleted
            and not job.is_terminal
            and job.state.name != "CANCELLING"
            and job.stage != "tearing_down"
        }

    def forget_calls(self) -> None:
        """Drop the record of calls, which takes memory."""
        self._emulator.forget_calls()

    def now(self) -> datetime:
        """The time, with a time zone."""
        return self.clock.now()

    def monotonic(self) -> float:
        """Seconds since the world began."""
        return (self.clock.now() - self._beginning).total_seconds()

    def when(self, seconds: float) -> datetime:
        """The time at so many seconds since the world began."""
        return self._beginning + timedelta(seconds=seconds)

    def sleep(self, seconds: float) -> None:
        """Let time pass; what is scheduled meanwhile happens."""
        # The clock counts microseconds and would not move for less than one.
        end = self.clock.now() + timedelta(microseconds=math.ceil(max(0.0, seconds) * 1e6))
        while event := min(
            (one for one in self._events if one.moment <= end),
            key=lambda one: one.moment,
            default=None,
        ):
            self._advance_to(event.moment)
            self._events.remove(event)
            event.act()
        self._advance_to(end)

    def schedule(self, seconds: float, act: Callable[[], object]) -> None:
        """Schedule an action in the thread that moves the clock.

        Args:
            seconds: From now.
            act: The action.
        """
        self._events.append(_Event(self.clock.now() + timedelta(seconds=seconds), act))

    def _advance_to(self, moment: datetime) -> None:
        self.clock.advance(max(0.0, (moment - self.clock.now()).total_seconds()))

    def _come_back(self) -> None:
        if not self._is_down:
            return
        self._is_down = False
        crashed = self._emulator
        self._emulator = self._build(port=crashed.port, crashed=crashed)
        self._emulator.start()
        crashed.stop()
        self._returns.append(self.clock.now())

    def _start(self, container: Container) -> Script:
        return self._play(container)

    def _build(self, *, port: int, crashed: VertexEmulator | None = None) -> VertexEmulator:
        return VertexEmulator(
            port=port,
            clock=self.clock,
            store=self.store,
            timings=TIMINGS,
            seed=1,
            runtime=ScriptedRuntime(self._start),
            faults=crashed.faults if crashed else None,
        )
