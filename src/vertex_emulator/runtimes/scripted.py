"""Plays containers that tests describe: nothing runs, and time is the emulator's.

With a `ManualClock`, thousands of jobs take seconds, in the same order each time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from vertex_emulator.core.errors import Json
from vertex_emulator.core.timer import Timer
from vertex_emulator.runtimes.contract import (
    KILLED,
    TERMINATED,
    Container,
    Exit,
    OutputSink,
    find_excess,
)

# As many as a project could have: the rest is a mistake, and each costs memory.
MAX_REPLICAS = 10_000

Action = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Script:
    """What a container does.

    Args:
        seconds: How long it runs, in seconds of the emulator's clock; None to run until
            it is stopped.
        status: Its exit status, 0 to 255.
        lines: What it writes to stdout when it starts.
        actions: Seconds from its start, and a function that is called then if the
            container still runs. An action at the moment of its exit comes before it.
        grace: Seconds from SIGTERM to its exit.
        is_out_of_memory: Whether it is killed for running out of memory in the end.
        later_lines: Seconds from its start, and a line that it writes then.
    """

    seconds: float | None = 0.0
    status: int = 0
    lines: tuple[str, ...] = ()
    actions: tuple[tuple[float, Action], ...] = ()
    grace: float = 0.0
    is_out_of_memory: bool = False
    later_lines: tuple[tuple[float, str], ...] = ()


Play = Callable[[Container], Script]


def _do_nothing(container: Container) -> Script:
    del container
    return Script()


class ScriptedRuntime:
    """Plays a script for each start of a container.

    `play` and the actions are called in the emulator's own thread, without a lock: they
    can use the emulator, also over HTTP, but cannot advance its clock.

    Args:
        play: Returns the script of a container that starts; by default every container
            exits at once with status 0.
    """

    name = "scripted"

    def __init__(self, play: Play = _do_nothing) -> None:
        self._play = play
        # (job ID, attempt, replica) -> what an emulator that crashed was playing.
        self._left: dict[tuple[str, int, str], _Played] = {}

    def find_unserved(self, job_spec: Json) -> list[str]:
        return find_excess(job_spec, MAX_REPLICAS)

    def begin(
        self, container: Container, sink: OutputSink, timer: Timer, ended: Callable[[Exit], None]
    ) -> "_Played":
        script = self._play(container)
        key = _key_of(container)
        played = _Played(script, lambda played: self._left.update({key: played}))
        played.go_on(timer, sink, ended)
        return played

    def resume(
        self, container: Container, sink: OutputSink, timer: Timer, ended: Callable[[Exit], None]
    ) -> "_Played | None":
        played = self._left.pop(_key_of(container), None)
        if played:
            played.go_on(timer, sink, ended)
        return played

    def end_leftovers(self, job_id: str) -> None:
        for key in [key for key in self._left if key[0] == job_id]:
            del self._left[key]


def _key_of(container: Container) -> tuple[str, int, str]:
    return container.job_id, container.attempt, container.replica


class _Played:
    """A container.

    Args:
        script: What it does.
        left: Called with it when its emulator crashes.
    """

    def __init__(self, script: Script, left: "Callable[[_Played], None]") -> None:
        self._script = script
        # Its lines come before the actions of the same moment.
        lines = [(seconds, partial(self._write, line)) for seconds, line in script.later_lines]
        self._acts: tuple[tuple[float, Action], ...] = (*lines, *script.actions)
        self._left = left
        self._timer: Timer
        self._sink: OutputSink
        self._ended: Callable[[Exit], None]
        # Index of each action to come -> its moment; None before the start.
        self._moments: dict[int, datetime] | None = None
        self._end: tuple[datetime, int] | None = None
        self._is_ending = False
        self._has_exited = False

    def go_on(self, timer: Timer, sink: OutputSink, ended: Callable[[Exit], None]) -> None:
        """Play what is still to come, from the beginning or after a crash.

        Args:
            timer: Where time comes from now.
            sink: Takes its output.
            ended: Called by it when the container has exited.
        """
        self._timer, self._sink, self._ended = timer, sink, ended
        # A sink takes the output from the beginning.
        for line in self._script.lines:
            self._write(line)
        if self._moments is None:
            start = timer.now()
            self._moments = {
                index: start + timedelta(seconds=seconds)
                for index, (seconds, _) in enumerate(self._acts)
            }
            if self._script.seconds is not None:
                self._end = start + timedelta(seconds=self._script.seconds), self._script.status
        for index, (_, line) in enumerate(self._script.later_lines):
            if index not in self._moments:
                self._write(line)
        for index, moment in self._moments.items():
            timer.set((self, index), moment, partial(self._act, index))
        if self._end:
            self._end_at(*self._end)

    def terminate(self) -> None:
        if not self._is_ending and not self._has_exited:
            self._is_ending = True
            moment = self._timer.now() + timedelta(seconds=self._script.grace)
            self._end_at(moment, TERMINATED)

    def kill(self) -> None:
        if not self._has_exited:
            self._end_at(self._timer.now(), KILLED)

    def abandon(self) -> None:
        if not self._has_exited:
            self._left(self)
        self._drop()

    def _act(self, index: int) -> None:
        # Before the action, which may crash the emulator.
        if self._moments:
            del self._moments[index]
        self._acts[index][1]()

    def _write(self, line: str) -> None:
        self._sink("stdout", line)

    def _drop(self) -> None:
        for index in range(len(self._acts)):
            self._timer.cancel((self, index))
        self._timer.cancel(self)

    def _end_at(self, moment: datetime, status: int) -> None:
        self._end = moment, status
        self._timer.set(self, moment, lambda: self._exit(status))

    def _exit(self, status: int) -> None:
        self._has_exited = True
        self._drop()
        is_by_itself = status == self._script.status and not self._is_ending
        is_out_of_memory = self._script.is_out_of_memory and is_by_itself
        self._ended(Exit(status, is_out_of_memory=is_out_of_memory))
