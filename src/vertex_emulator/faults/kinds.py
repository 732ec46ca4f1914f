"""What all faults have in common: a name in the registry, and refusals that name the field."""

from typing import Any, ClassVar


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
