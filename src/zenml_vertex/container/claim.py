"""Which of two containers runs a step's code: the one that holds the claim.

A container claims its replica before it runs the step's code, and renews the claim while
it runs. A second start of the replica waits as long as the claim is renewed, and takes
over when it is not: the first container is dead then. No clocks are compared: a claim is
stale if it has not *changed* for a while by the reader's own clock. A text that cannot be
read is somebody's claim too, perhaps one that is being written.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from zenml_vertex.clock import Clock

logger = logging.getLogger(__name__)

RENEWAL_SECONDS = 20.0
# Four renewals lost in a row, with some margin for a slow store.
STALE_SECONDS = 90.0
POLL_SECONDS = 5.0
# Between overwriting another container's claim and reading it again: the container that
# wrote last holds it.
SETTLE_SECONDS = 2.0


class ClaimStore(Protocol):
    """One small text that every start of a replica can read, such as a file in a bucket."""

    @property
    def is_exclusive(self) -> bool:
        """Whether only one of several that create at the same time succeeds."""
        ...

    def create(self, text: str) -> bool:
        """Store a text if there is none; returns whether there was none."""
        ...

    def read(self) -> str | None:
        """The stored text; None if there is none."""
        ...

    def write(self, text: str) -> None:
        """Replace the stored text."""
        ...

    def remove(self) -> None:
        """Remove the stored text."""
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim as it is stored."""

    # Unique ID of the start of a container that holds it.
    holder: str
    # How often it was renewed.
    renewals: int = 0

    def to_text(self) -> str:
        """The text that `parse` reads."""
        return json.dumps({"holder": self.holder, "renewals": self.renewals})

    @classmethod
    def parse(cls, text: str | None) -> "Claim | None":
        """Read a claim; None without a text, and for a text that is not a claim."""
        try:
            content = json.loads(text or "")
            return cls(str(content["holder"]), int(content["renewals"]))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return None


@dataclass(slots=True)
class StepClaim:
    """One container's side of the claim."""

    store: ClaimStore
    clock: Clock
    # Unique ID of this start of the container.
    holder: str
    # Whether the step run has finished, or was told to stop.
    is_finished: Callable[[], bool]
    # By the clock, just before the claim was stored or found to be this container's; None if
    # others could have stored theirs at the same time.
    _renewed_at: float | None = field(default=None, init=False)
    # What was stored at the last renewal if it is not this container's.
    _others: str | None = field(default=None, init=False)

    def acquire(self) -> bool:
        """Claim the replica; waits while another container runs the step.

        Returns:
            Whether to run the step: False once it has finished without this container.
        """
        if self.is_finished():
            logger.info("The step has finished already; its code does not run again.")
            return False
        # It is this container's own if the answer to an attempt to create it was lost.
        return self._create() or self._is_own(self._read_patiently()) or self._take_over()

    def _take_over(self) -> bool:
        """Wait for another container; returns whether it has left the step to this one."""
        logger.warning(
            "Vertex AI has started this step's container a second time. Waiting until the first "
            "one has finished, or has not renewed its claim for %.0f s.",
            STALE_SECONDS,
        )
        seen, since = self._read_patiently(), self.clock.monotonic()
        while not self.is_finished():
            # After the question, which takes long if the server does not respond.
            stored, now = self._read_patiently(), self.clock.monotonic()
            if stored != seen:
                seen, since = stored, now
            if self._is_left(stored, now - since):
                self.clock.sleep(SETTLE_SECONDS)
                if self._is_own(self.store.read()):
                    logger.warning("The first container is dead; the step's code runs again.")
                    return True
            else:
                self.clock.sleep(POLL_SECONDS)
        logger.info("The first container has finished the step; its code runs once.")
        return False

    def _read_patiently(self) -> str | None:
        """What is stored; a store that fails is asked again, or one failure ran the step twice."""
        began = self.clock.monotonic()
        while True:
            try:
                return self.store.read()
            except Exception as error:
                if self.clock.monotonic() - began >= STALE_SECONDS:
                    raise
                logger.debug("Could not read the claim: %s", type(error).__name__)
            self.clock.sleep(POLL_SECONDS)

    def _is_left(self, stored: str | None, unchanged_seconds: float) -> bool:
        """Claim what nobody holds any more; returns whether this container has claimed it."""
        if stored is None:
            return self._create()
        if self._is_own(stored):
            return True
        if unchanged_seconds < STALE_SECONDS:
            return False
        self.store.write(Claim(self.holder).to_text())
        return True

    def is_held(self) -> bool:
        """Whether this container still holds the claim.

        Where only one container can have created it, nobody takes it over while it is renewed.
        """
        if (
            self._renewed_at is not None
            and self.clock.monotonic() - self._renewed_at < STALE_SECONDS / 2
        ):
            return True
        return self._is_own(self.store.read())

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew the claim in a thread, and remove it at the end if it is still this container's."""
        done = threading.Event()
        thread = threading.Thread(
            target=self._renew, args=[done], name="zenml-vertex-claim", daemon=True
        )
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join(RENEWAL_SECONDS)
            try:
                if self.is_held():
                    self.store.remove()
            except Exception as error:  # noqa: BLE001 - a claim left behind goes stale
                logger.debug("Could not remove the claim: %s", type(error).__name__)

    def _create(self) -> bool:
        before = self.clock.monotonic()
        is_created = self.store.create(Claim(self.holder).to_text())
        if is_created and self.store.is_exclusive:
            self._renewed_at = before
        return is_created

    def _is_own(self, stored: str | None) -> bool:
        claim = Claim.parse(stored)
        return claim is not None and claim.holder == self.holder

    def _renew(self, done: threading.Event) -> None:
        renewals = 0
        while not done.wait(RENEWAL_SECONDS):
            renewals += 1
            try:
                self._renew_once(renewals)
            except Exception as error:  # noqa: BLE001 - the next renewal may work
                logger.debug("Could not renew the claim: %s", type(error).__name__)

    def _renew_once(self, renewals: int) -> None:
        """Renew the claim, or store it again if it is gone; another container's is left alone."""
        before = self.clock.monotonic()
        stored = self.store.read()
        if stored is None:
            self._create()
            return
        # Whoever writes a claim is done with it by the next renewal.
        is_broken = Claim.parse(stored) is None and stored == self._others
        if is_broken or self._is_own(stored):
            self.store.write(Claim(self.holder, renewals).to_text())
            self._others = None
            if self.store.is_exclusive:
                self._renewed_at = before
            return
        self._others, self._renewed_at = stored, None
