"""What all faults have in common: a name in the registry, and refusals that name the field."""

from typing import Any, ClassVar

# A year: longer than anything that a test waits for, and far below what a date can hold.
MOST_SECONDS = 365 * 24 * 3600


class FaultError(ValueError):
    """A fault that cannot be planned; says which field, and what it may be."""


class FaultKind:
    """Base of all faults. A class that derives from a family of faults registers itself.

    The registry is where JSON, the page of what the emulator covers and the fault
    campaign learn which faults there are; a fault is its class and nothing else. A
    class whose name begins with `_` is a base of others and is left out.
    """

    __slots__ = ()

    registry: ClassVar[dict[str, type[Any]]] = {}
    """Name -> class, in the order of definition."""

    has_json: ClassVar[bool] = True
    """Whether it can be planned over HTTP."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        is_family = FaultKind in cls.__bases__
        if not is_family and not cls.__name__.startswith("_"):
            # Called twice: `dataclass(slots=True)` makes the class anew under its name.
            FaultKind.registry[cls.__name__] = cls


def find_kinds(family: type[Any]) -> tuple[type[Any], ...]:
    """The registered faults of a family: `RequestFault` or `JobFault`."""
    return tuple(kind for kind in FaultKind.registry.values() if issubclass(kind, family))


def require(holds: bool, name: str, allowed: str) -> None:
    """Refuse a value.

    Raises:
        FaultError: If it does not hold.
    """
    if not holds:
        raise FaultError(f"{name}: must be {allowed}")


def require_seconds(seconds: float | None, name: str, *, may_be_zero: bool = True) -> None:
    """Refuse a number of seconds that is negative, longer than a year or not a number.

    Args:
        seconds: The number; None for a fault without a limit of time.
        name: Name of the field.
        may_be_zero: Whether 0 is allowed.

    Raises:
        FaultError: If it is refused.
    """
    if seconds is None or (may_be_zero and seconds == 0):
        return
    least = "at least 0" if may_be_zero else "more than 0"
    require(0 < seconds <= MOST_SECONDS, name, f"{least} and at most {MOST_SECONDS} (a year)")
