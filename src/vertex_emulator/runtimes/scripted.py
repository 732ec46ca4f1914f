"""Plays containers that tests describe: nothing runs, and time is the emulator's.

With a `ManualClock`, thousands of jobs take seconds, in the same order each time.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from vertex_emulator.core.errors import Json
from vertex_emulator.core.timer import Timer
from vertex_emulator.runtimes.contract import (
    KILLED,
    TERMINATED,
    Container,
    Exit,
    OutputSink,
)

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
    """

    seconds: float | None = 0.0
    status: int = 0
    lines: tuple[str, ...] = ()
    actions: tuple[tuple[float, Action], ...] = ()
    grace: float = 0.0


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

    def find_unserved(self, job_spec: Json) -> list[str]:
        del job_spec
        return []

    def begin(
        self, container: Container, sink: OutputSink, timer: Timer, ended: Callable[[Exit], None]
    ) -> "_Played":
        script = self._play(container)
        for line in script.lines:
            sink("stdout", line)
        return _Played(script, timer, ended)

    def end_leftovers(self, job_id: str) -> None:
        """Not needed: nothing runs."""


class _Played:
    def __init__(self, script: Script, timer: Timer, ended: Callable[[Exit], None]) -> None:
        self._script = script
        self._timer = timer
        self._ended = ended
        self._is_ending = False
        self._has_exited = False
        start = timer.now()
        for index, (seconds, action) in enumerate(script.actions):
            timer.set((self, index), start + timedelta(seconds=seconds), action)
        if script.seconds is not None:
            self._end_at(start + timedelta(seconds=script.seconds), script.status)

    def terminate(self) -> None:
        if not self._is_ending and not self._has_exited:
            self._is_ending = True
            moment = self._timer.now() + timedelta(seconds=self._script.grace)
            self._end_at(moment, TERMINATED)

    def kill(self) -> None:
        if not self._has_exited:
            self._end_at(self._timer.now(), KILLED)

    def abandon(self) -> None:
        for index in range(len(self._script.actions)):
            self._timer.cancel((self, index))
        self._timer.cancel(self)

    def _end_at(self, moment: datetime, status: int) -> None:
        self._timer.set(self, moment, lambda: self._end(status))

    def _end(self, status: int) -> None:
        self._has_exited = True
        self.abandon()
        self._ended(Exit(status))
