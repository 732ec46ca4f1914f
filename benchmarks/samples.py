"""What a figure is made of: samples of both operators."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import Literal

Operator = Literal["builtin", "plugin"]
OPERATORS: tuple[Operator, ...] = ("builtin", "plugin")
"""In the order in which they are measured; both are warmed up before."""

_DIGITS = 3

Contender = Literal["builtin", "plugin", "floor"]
CONTENDERS: tuple[Contender, ...] = (*OPERATORS, "floor")
"""With the operator of `floor.py`."""

Say = Callable[[str], None]
"""Is called with lines that tell a person what is going on."""


@dataclass(frozen=True, slots=True)
class Samples:
    """What was measured of one quantity: of ZenML's built-in operator, and of this one."""

    builtin: tuple[float, ...]
    plugin: tuple[float, ...]
    # Of an operator that does nothing which ZenML does not need; empty where there is no such
    # figure.
    floor: tuple[float, ...] = ()

    @property
    def medians(self) -> tuple[float, float]:
        """The built-in operator's, and this one's."""
        return median(self.builtin), median(self.plugin)


@dataclass(frozen=True, slots=True)
class Figure:
    """What was measured for a row: of ZenML's built-in operator, and of this one."""

    builtin: float
    ours: float
    # Of the operator that does nothing, if it was measured.
    floor: float | None = None

    @classmethod
    def of(cls, samples: Samples) -> "Figure":
        """The medians, with as many digits as they are worth."""
        builtin, ours = map(round_figure, samples.medians)
        return cls(builtin, ours, round_figure(median(samples.floor)) if samples.floor else None)


def round_figure(value: float) -> float:
    """A figure with three digits, and every digit before the point."""
    return float(round(value)) if abs(value) >= 10**_DIGITS else float(f"{value:.{_DIGITS}g}")


def percentile(samples: Sequence[float], share: float) -> float:
    """The sample below which a share of the samples lies, or equal to it; 0.99 for the 99th.

    Of less than a hundred samples the 99th is the worst.
    """
    ordered = sorted(samples)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]
