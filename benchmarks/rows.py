"""What a row of the table is: what it says, its target, and the function that measures it. Pure."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.samples import Figure, Samples

if TYPE_CHECKING:
    from benchmarks.harness import Harness

MEDIAN_OF_5 = "median of 5, in turn"
FLOOR_SHARE = 1.1
COUNTED = "counted once: the clock is moved by hand"
"""How a row is measured whose figure is the same on every machine."""


@dataclass(frozen=True, slots=True)
class Target:
    """What this operator's figure should be."""

    text: str
    is_met: Callable[[Figure], bool]


def below(limit: float, unit: str = "") -> Target:
    """Less than a limit; the unit is for the text only."""
    return Target(f"under {limit:g} {unit}".strip(), lambda figure: figure.ours < limit)


def at_most(limit: float) -> Target:
    """No more than a limit."""
    return Target(f"at most {limit:g}", lambda figure: figure.ours <= limit)


def below_share(share: float) -> Target:
    """Less than a share of the built-in operator's figure; 1.0 for all of it."""
    part = "" if share == 1 else f"{share:.0%} of "
    return Target(f"under {part}the built-in's", lambda each: each.ours < share * each.builtin)


def above_builtin(limit: float, unit: str) -> Target:
    """Less than so much more than the built-in operator's figure."""
    return Target(
        f"under {limit:g} {unit} more than the built-in's",
        lambda figure: figure.ours - figure.builtin < limit,
    )


def near_floor() -> Target:
    """At most a tenth more than an operator that does nothing."""
    return Target(
        "at most the floor + 10%",
        lambda each: each.floor is not None and each.ours <= FLOOR_SHARE * each.floor,
    )


def more_than_floor(most: int) -> Target:
    """No more than the operator that does nothing, or so many more."""
    return Target(
        f"at most {most} more than the floor" if most else "no more than the floor",
        lambda each: each.floor is not None and each.ours <= each.floor + most,
    )


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table."""

    # Stable: recorded results refer to it.
    id: str
    # Of both figures.
    unit: str
    # What the figures say.
    title: str
    target: Target
    # How many samples there are, and of what.
    how: str


Measure = Callable[["Harness", Collection[str]], Mapping[str, Samples]]
"""Takes the IDs that are wanted, and returns samples by ID: of those rows at least."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """A function that measures rows."""

    rows: tuple[Row, ...]
    measure: Measure


def measures(*rows: Row) -> Callable[[Measure], Measurement]:
    """Register rows with the function that measures them.

    List the result in `measurements.MEASUREMENTS`.
    """

    def register(measure: Measure) -> Measurement:
        return Measurement(rows, measure)

    return register
