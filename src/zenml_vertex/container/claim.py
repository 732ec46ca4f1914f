"""Who runs a step's code, where two containers could: the one that holds the claim.

A container claims its step run before it runs the step's code, and renews the claim
while it does. A second start waits as long as the claim is renewed, and takes over
once it is not: then the first one is dead. Nobody's clock is compared with anybody
else's: a claim is stale if it has not *changed* for a while by the reader's own.
"""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from zenml_vertex.clock import Clock

logger = logging.getLogger(__name__)

RENEWAL_SECONDS = 20.0
# Four renewals lost in a row, with some room for a slow store.
STALE_SECONDS = 90.0
LOOK_SECONDS = 5.0
# Between writing a claim that was somebody else's and reading it again. Whoever
# wrote last has it.
SETTLE_SECONDS = 2.0


class ClaimStore(Protocol):
    """One small text that every container of a step run sees, such as a file in a bucket."""

    def read(self) -> str | None:
        """The text; None if there is none."""
        ...

    def write(self, text: str) -> None:
        """Put a text in the place of the last."""
        ...

    def remove(self) -> None:
        """Leave no text."""
        ...


@dataclass(frozen=True, slots=True)
class Claim:
    """A claim as it is stored.

    Args:
        holder: The start of a container that has it; unique.
        renewals: How often it was renewed.
    """

    holder: str
    renewals: int = 0

    def to_text(self) -> str:
        """The text that `parse` reads."""
        return json.dumps({"holder": self.holder, "renewals": self.renewals})

    @classmethod
    def parse(cls, text: str | None) -> "Claim | None":
        """Read a claim; None for none, and for a text that is none."""
        try:
            content = json.loads(text or "")
            return cls(str(content["holder"]), int(content["renewals"]))
        except (ValueError, KeyError, TypeError):
            return None


@dataclass(slots=True)
class StepClaim:
    """One container's side of the claim to a step run.

    Args:
        store: Where the claim is.
        clock: Where time comes from.
        holder: This start of a container.
        is_finished: Whether the step run needs no container any more.
    """

    store: ClaimStore
    clock: Clock
    holder: str
    is_finished: Callable[[], bool]

    def acquire(self) -> bool:
        """Claim the step run; waits while somebody else runs it.

        Returns:
            Whether to run the step: False once it is over without us.
        """
        if self.is_finished():
            logger.info("The step has finished already; its code does not run again.")
            return False
        other = Claim.parse(self.store.read())
        if other is None:
            self.store.write(Claim(self.holder).to_text())
            return True
        logger.warning(
            "Vertex AI has started this step's container a second time. Waiting until the first is "
            "done, or has shown no sign of life for %.0f s.",
            STALE_SECONDS,
        )
        while self._outlives(other):
            if self.is_finished():
                logger.info("The first container has finished the step; its code runs once.")
                return False
            self.store.write(Claim(self.holder).to_text())
            self.clock.sleep(SETTLE_SECONDS)
            other = Claim.parse(self.store.read())
            if other is None or other.holder == self.holder:
                logger.warning("The first container is dead; the step's code runs again.")
                return True
        return False

    def is_held(self) -> bool:
        """Whether the claim is still this container's."""
        claim = Claim.parse(self.store.read())
        return claim is None or claim.holder == self.holder

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """Renew the claim in a thread, and give it up at the end."""
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
                self.store.remove()
            except Exception as error:  # noqa: BLE001 - a claim left behind goes stale
                logger.debug("The claim could not be removed: %s", type(error).__name__)

    def _outlives(self, other: Claim) -> bool:
        """Wait for the other's end; False if the step is over first."""
        seen, since = other, self.clock.monotonic()
        while self.clock.monotonic() - since < STALE_SECONDS:
            self.clock.sleep(LOOK_SECONDS)
            if self.is_finished():
                return False
            claim = Claim.parse(self.store.read())
            if claim is None:
                return True
            if claim != seen:
                seen, since = claim, self.clock.monotonic()
        return True

    def _renew(self, done: threading.Event) -> None:
        renewals = 0
        while not done.wait(RENEWAL_SECONDS):
            renewals += 1
            try:
                self.store.write(Claim(self.holder, renewals).to_text())
            except Exception as error:  # noqa: BLE001 - the next renewal may work
                logger.debug("The claim could not be renewed: %s", type(error).__name__)
