"""What the measurements of one run share."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from benchmarks.samples import Say

if TYPE_CHECKING:
    from benchmarks.stacks import Stacks

SAMPLES = 5


@dataclass
class Harness:
    """Progress lines, and stacks that are started when the first measurement needs them."""

    say: Say
    # Ends what was started here.
    running: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def stacks(self) -> "Stacks":
        """A stack for each operator."""
        from benchmarks.stacks import open_stacks

        return self.running.enter_context(open_stacks(self.say))
