"""What a figure is made of: samples of both operators."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Literal

Operator = Literal["builtin", "plugin"]
OPERATORS: tuple[Operator, ...] = ("builtin", "plugin")
"""In the order in which they are measured; both are warmed up before."""

Say = Callable[[str], None]
"""Is called with lines that tell a person what is going on."""


@dataclass(frozen=True, slots=True)
class Samples:
    """What was measured of one quantity: of ZenML's built-in operator, and of this one."""

    builtin: tuple[float, ...]
    plugin: tuple[float, ...]

    @property
    def medians(self) -> tuple[float, float]:
        """The built-in operator's, and this one's."""
        return median(self.builtin), median(self.plugin)
