"""What a row is made of: samples of both operators."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Literal

Operator = Literal["builtin", "plugin"]
OPERATORS: tuple[Operator, ...] = ("builtin", "plugin")
"""ZenML's own first: neither has what the other has warmed up, since both are warmed up."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Samples:
    """What was measured of one quantity.

    Args:
        builtin: Of ZenML's built-in operator.
        plugin: Of this one.
    """

    builtin: tuple[float, ...]
    plugin: tuple[float, ...]

    @property
    def medians(self) -> tuple[float, float]:
        """The built-in operator's, and this one's."""
        return median(self.builtin), median(self.plugin)
