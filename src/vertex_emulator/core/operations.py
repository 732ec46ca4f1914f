"""Long-running operations: what calls have begun, how it goes on, and how it ends."""

import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from vertex_emulator.core.documents import DocumentStore, StoreReleasedError
from vertex_emulator.core.errors import ApiError, Json
from vertex_emulator.core.folders import DataDirError
from vertex_emulator.core.names import parse_id
from vertex_emulator.core.operation_documents import (
    COLLECTION,
    Progress,
    end_of,
    end_operation,
    hide,
    is_hidden,
    is_operation,
    is_timed,
    kind_of,
    location_of,
    next_moment,
    position_of,
    say_progress,
    show,
    target_of,
    write_operation,
)
from vertex_emulator.core.timer import Timer

logger = logging.getLogger(__name__)

# IDs look like Google's: 19 digits.
_FIRST_ID = 10**18
_IDS = 8 * 10**18
# google.rpc.Code
_CANCELLED = 1
# Each client that waits holds one of the server's 40 threads.
_MOST_WAITING = 16
_LONGEST_WAIT_SECONDS = 60.0
_RETRY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Kind:
    """What happens to the operations of a kind.

    The functions get an operation and the name of what it is about. One that cannot write to
    the store is called again some seconds later.
    """

    # Called when the time of an operation has come; it calls `finish` or `fail`.
    end: Callable[[Json, str], object]
    # Called when a client cancels an operation, which then ends with an error; None if no
    # operation of the kind can be cancelled.
    cancel: Callable[[Json, str], object] | None = None


class Operations:
    """The long-running operations of every service; safe to use from several threads.

    They are kept. One that takes time is of a kind that its service has defined, and ends when
    its time has come, also if the emulator was started again meanwhile. A service can as well
    end one by itself.

    Args:
        store: Keeps them.
        timer: Says when their time has come.
    """

    def __init__(self, store: DocumentStore, timer: Timer) -> None:
        self._store = store
        self._timer = timer
        self._kinds: dict[str, Kind] = {}
        self._unreadable: set[str] = set()
        self._waiting: set[object] = set()
        self._changed = threading.Condition(threading.RLock())
        self._is_released = False

    def define(self, name: str, kind: Kind) -> None:
        """Say what happens to operations of a kind; before the emulator is started.

        Args:
            name: Its name, which is kept with each operation: `persistentResources.create`.
            kind: What happens to them.
        """
        self._kinds[name] = kind

    def start(self) -> None:
        """Go on with the operations that an earlier emulator has begun."""
        for key in self._keys():
            document = self._read(key)
            if document is None or not is_timed(document):
                continue
            if kind_of(document) in self._kinds:
                self._schedule(key, document)
            else:
                logger.warning(
                    "%s will not end: no service of this emulator has operations of the kind %s.",
                    document["name"], kind_of(document),
                )  # fmt: skip

    def begin(
        self,
        parent: str,
        metadata_type: str,
        *,
        owner: str = "",
        kind: str = "",
        target: str = "",
        seconds: float = 0.0,
        progress: Sequence[Progress] = (),
    ) -> Json:
        """Begin an operation.

        Args:
            parent: Resource name of the project and region: `projects/P/locations/L`.
            metadata_type: Full name of the message that its metadata is, such as
                `google.cloud.aiplatform.v1.DeleteOperationMetadata`.
            owner: Resource whose operation it is, if it is not the region's:
                `projects/P/locations/L/persistentResources/ID`.
            kind: A name that `define` was given; without one, the service ends it by itself.
            target: Resource that it is about, for the functions of its kind.
            seconds: When its time has come, from now; not negative. With a kind only.
            progress: What it says of itself, the earliest first. With a kind only.

        Returns:
            The operation, which is not done.
        """
        operation_id = _FIRST_ID + secrets.randbelow(_IDS)
        document = write_operation(
            f"{owner or parent}/{COLLECTION}/{operation_id}",
            metadata_type,
            self._timer.now(),
            kind=kind,
            target=target,
            seconds=seconds,
            progress=progress,
        )
        key = f"{parent}/{COLLECTION}/{operation_id}"
        self._store.put(key, document)
        if kind:
            self._schedule(key, document)
        return show(document)

    def finish(self, name: str, response: Json, *, message: str | None = None) -> Json:
        """End an operation with its result.

        Args:
            name: Resource name of the operation.
            response: A message with its `@type`.
            message: What it says of itself at last; None for no change.

        Returns:
            The operation, which is done.
        """
        return self._end(name, {"response": response}, message)

    def fail(self, name: str, error: Json, *, message: str | None = None) -> Json:
        """End an operation with an error.

        Args:
            name: Resource name of the operation.
            error: A `google.rpc.Status`.
            message: What it says of itself at last; None for no change.

        Returns:
            The operation, which is done.
        """
        return self._end(name, {"error": error}, message)

    def get(self, parent: str, operation_id: str) -> Json:
        """An operation.

        Args:
            parent: Project and region, or a resource there.
            operation_id: ID of the operation.

        Raises:
            ApiError: NOT_FOUND; also for one whose document is damaged, which is logged.
        """
        return show(self._find(parent, operation_id)[1])

    def find_all(self, parent: str) -> list[Json]:
        """The operations of a resource, or of everything in a project and region.

        Args:
            parent: Project and region, or a resource there.

        Returns:
            The operations, the newest first, without those whose documents are damaged.
        """
        documents = [
            document
            for key in self._keys()
            if location_of(key) == location_of(parent) and (document := self._read(key))
        ]
        shown = [
            show(document)
            for document in documents
            if document["name"].startswith(f"{parent}/") and not is_hidden(document)
        ]
        return sorted(shown, key=position_of, reverse=True)

    def wait(self, parent: str, operation_id: str, seconds: float) -> Json:
        """An operation when it is done, or when the time is over.

        It can come earlier, as `google.longrunning.Operations` allows: where many wait.

        Args:
            parent: Project and region, or a resource there.
            operation_id: ID of the operation.
            seconds: How long to wait at most, by the emulator's clock; more than a minute is a
                minute, by the machine's clock too.

        Raises:
            ApiError: NOT_FOUND.
        """
        key, document = self._find(parent, operation_id)
        ticket = object()
        moment = self._timer.now() + timedelta(seconds=min(seconds, _LONGEST_WAIT_SECONDS))
        with self._changed:
            if len(self._waiting) < _MOST_WAITING:
                self._waiting.add(ticket)
                self._timer.set(ticket, moment, partial(self._wake, ticket))
            self._changed.wait_for(partial(self._is_over, ticket, key), _LONGEST_WAIT_SECONDS)
            self._waiting.discard(ticket)
            self._timer.cancel(ticket)
            return show(self._read(key) or document)

    def cancel(self, parent: str, operation_id: str) -> None:
        """Cancel an operation; nothing happens to one that is done.

        Args:
            parent: Project and region, or a resource there.
            operation_id: ID of the operation.

        Raises:
            ApiError: NOT_FOUND; UNIMPLEMENTED for one that cannot be cancelled.
        """
        _, document = self._find(parent, operation_id)
        if document.get("done"):
            return
        kind = self._kinds.get(kind_of(document))
        if kind is None or kind.cancel is None:
            text = f"The emulator cannot cancel the operation {document['name']}."
            raise ApiError("UNIMPLEMENTED", text)
        kind.cancel(show(document), target_of(document))
        # The code is that of https://google.aip.dev/151; the text is made up.
        error = {"code": _CANCELLED, "message": "The operation was cancelled."}
        self.fail(document["name"], error)

    def delete(self, parent: str, operation_id: str) -> None:
        """Forget an operation, which goes on all the same if it is not done.

        Args:
            parent: Project and region, or a resource there.
            operation_id: ID of the operation.

        Raises:
            ApiError: NOT_FOUND.
        """
        with self._changed:
            key, document = self._find(parent, operation_id)
            if is_timed(document):
                self._store.put(key, hide(document))
            else:
                self._store.remove(key)

    def clear(self) -> None:
        """Forget every operation."""
        with self._changed:
            for key in list(self._keys()):
                self._timer.cancel((COLLECTION, key))
                self._store.remove(key)
            self._changed.notify_all()

    def release(self) -> None:
        """Send every client that waits what there is: the emulator ends."""
        with self._changed:
            self._is_released = True
            self._changed.notify_all()

    def _keys(self) -> Iterator[str]:
        """What operations are kept by: their names below the region, whosoever they are."""
        return self._store.names(COLLECTION)

    def _read(self, key: str) -> Json | None:
        """An operation as it is kept; None if there is none, or if it is damaged."""
        try:
            document = self._store.get(key)
            if document is None or is_operation(document):
                return document
            reason = f"{key} is kept as something else."
        except DataDirError as error:
            reason = str(error)
        if key not in self._unreadable:
            self._unreadable.add(key)
            logger.error("An operation is left out. %s", reason)
        return None

    def _find(self, parent: str, operation_id: str) -> tuple[str, Json]:
        """What an operation is kept by, and as what."""
        name = f"{parent}/{COLLECTION}/{parse_id(operation_id, 'Operation')}"
        key = _key_of(name)
        document = self._read(key)
        # One of the region can be read below a resource of the region, and the other way round.
        is_there = document and (parent == location_of(parent) or document["name"] in {name, key})
        if document is None or not is_there or is_hidden(document):
            raise ApiError("NOT_FOUND", f"The Operation {name} does not exist.")
        return key, document

    def _end(self, name: str, result: Json, message: str | None) -> Json:
        key = _key_of(name)
        with self._changed:
            document = self._read(key)
            if document is None or document.get("done"):
                # Forgotten by a reset in the meantime, or ended already.
                return document or {"name": name, "done": True, **result}
            ended = end_operation(document, self._timer.now(), result, message)
            if is_hidden(document):
                self._store.remove(key)
            else:
                self._store.put(key, ended)
            self._timer.cancel((COLLECTION, key))
            self._changed.notify_all()
            return ended

    def _schedule(self, key: str, document: Json) -> None:
        self._set_timer(key, next_moment(document))

    def _set_timer(self, key: str, moment: datetime) -> None:
        self._timer.set((COLLECTION, key), moment, partial(self._advance, key))

    def _advance(self, key: str) -> None:
        """Do to an operation what is due now."""
        now = self._timer.now()
        try:
            with self._changed:
                document = self._read(key)
                if document is None or not is_timed(document):
                    return
                said = say_progress(document, now)
                if said is not document:
                    self._store.put(key, said)
            if end_of(said) <= now:
                self._kinds[kind_of(said)].end(show(said), target_of(said))
            else:
                self._schedule(key, said)
        except StoreReleasedError:
            # The emulator has crashed meanwhile, and the next one goes on.
            return
        except DataDirError as error:
            logger.error("%s", error)  # noqa: TRY400 - it says all that there is to know
            self._set_timer(key, now + timedelta(seconds=_RETRY_SECONDS))

    def _wake(self, ticket: object) -> None:
        with self._changed:
            self._waiting.discard(ticket)
            self._changed.notify_all()

    def _is_over(self, ticket: object, key: str) -> bool:
        if self._is_released or ticket not in self._waiting:
            return True
        document = self._read(key)
        return document is None or bool(document.get("done"))


def _key_of(name: str) -> str:
    return f"{location_of(name)}/{COLLECTION}/{name.rpartition('/')[2]}"
