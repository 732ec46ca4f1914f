"""The intent to create a job, recorded on its step run before that.

A dynamic pipeline submits on many threads. What arrives while a request is on its way goes into
the next one: most of what a request costs the ZenML server does not depend on how many step runs
it names.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from zenml_vertex.errors import ServerUnreachable
from zenml_vertex.following.metadata import (
    CLIENT_KEY,
    PARENT_KEY,
    SUBMISSION_PREFIX,
    find_submissions,
)


@dataclass(slots=True)
class Intent:
    """What is recorded before the job of a step run is created."""

    step_run_id: str
    # Project and region, as the API names them.
    parent: str
    # The ZenML project of the step run, by its ID; None for the active one.
    zenml_project: str | None = None
    # Who follows the job.
    sign: Callable[[], Mapping[str, Any]] = dict
    # Under which it was recorded, or may have been if a request has failed.
    marks: list[str] = field(default_factory=list)

    @property
    def place(self) -> tuple[str, str | None]:
        """What intents have in common that go into one request."""
        return self.parent, self.zenml_project

    def build_metadata(self, mark: str) -> dict[str, Any]:
        """What the step run gets."""
        signed = dict(self.sign())
        signed[CLIENT_KEY] = {mark: True, **signed.get(CLIENT_KEY, {})}
        return {PARENT_KEY: self.parent, **signed}

    def find_rivals(
        self, recorded: Mapping[str, Any], dead: Mapping[str, Any]
    ) -> tuple[list[str], bool]:
        """Other submissions of the same step run, and whether this one was recorded first.

        Args:
            recorded: Metadata of the step run, which has this intent.
            dead: Metadata whose submissions have left no job.
        """
        before = find_submissions(dead)
        alive = [mark for mark in find_submissions(recorded) if mark not in before]
        rivals = [mark for mark in alive if mark not in self.marks]
        return rivals, not alive or alive[0] in self.marks


@dataclass(slots=True, eq=False)
class _Waiting:
    intent: Intent
    # Whether others have signed the step run; None until that is known.
    is_contested: bool | None = None
    # Why that is not known, if the server could not be reached.
    unreachable: ServerUnreachable | None = None

    def read(self) -> bool:
        """Whether others have signed the step run.

        Raises:
            ServerUnreachable: If that is not known.
        """
        if self.unreachable:
            # The same error cannot be raised on several threads.
            raise ServerUnreachable(str(self.unreachable)) from self.unreachable
        return bool(self.is_contested)


class Intents:
    """Records intents, those of several threads together.

    Args:
        record: Writes the same metadata to step runs.
        find_others: Of step runs of a ZenML project, those that somebody has signed without this
            mark.
    """

    def __init__(
        self,
        record: Callable[[Sequence[str], Mapping[str, Any]], None],
        find_others: Callable[[Sequence[str], str, str | None], Collection[str]],
    ) -> None:
        self._record = record
        self._find_others = find_others
        self._lock = threading.Lock()
        # Held while a request is on its way.
        self._sending = threading.Lock()
        self._queue: list[_Waiting] = []

    def announce(self, intent: Intent) -> bool:
        """Record an intent; whether somebody else has signed the step run, before or since.

        Of two that do this at once, at least one is told of the other.

        Raises:
            VertexStepOperatorError: If the server cannot be written to or asked.
        """
        waiting = _Waiting(intent)
        with self._lock:
            self._queue.append(waiting)
        try:
            with self._sending:
                if together := self._take(waiting):
                    self._send(together)
        finally:
            # After a Ctrl-C nobody should send it.
            self._drop(waiting)
        if waiting.is_contested is None and waiting.unreachable is None:
            self._send([waiting])
        return waiting.read()

    def _take(self, first: _Waiting) -> list[_Waiting]:
        """Take what goes into a request from the queue; nothing if the first was sent already.

        One step run is not in it twice: all have the same mark.
        """
        with self._lock:
            if first not in self._queue:
                return []
            taken = {first.intent.step_run_id: first}
            for other in self._queue:
                if other.intent.place == first.intent.place:
                    taken.setdefault(other.intent.step_run_id, other)
            together = list(taken.values())
            self._queue = [one for one in self._queue if one not in together]
            return together

    def _drop(self, waiting: _Waiting) -> None:
        with self._lock:
            self._queue = [one for one in self._queue if one is not waiting]

    def _send(self, together: Sequence[_Waiting]) -> None:
        mark = f"{SUBMISSION_PREFIX}{uuid4()}"
        for one in together:
            one.intent.marks.append(mark)
        ids = [one.intent.step_run_id for one in together]
        try:
            self._record(ids, together[0].intent.build_metadata(mark))
            contested = self._find_others(ids, mark, together[0].intent.zenml_project)
        except ServerUnreachable as error:
            for one in together:
                one.unreachable = error
        except Exception:
            # Maybe because of another step run, such as one that was deleted.
            if len(together) == 1:
                raise
        else:
            for one in together:
                one.is_contested = one.intent.step_run_id in contested
