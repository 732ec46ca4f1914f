"""Faults as JSON, for `/emulator/faults`. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from vertex_emulator.core.errors import Json
from vertex_emulator.faults.kinds import FaultError, FaultKind
from vertex_emulator.faults.plan import Fault, Planned


def fault_from_json(value: Any) -> Fault:
    """Read a fault: its name as `fault`, and its fields as they are named in Python.

    Raises:
        FaultError: Says what is wrong with it.
    """
    if not isinstance(value, Mapping):
        raise FaultError("a fault must be an object")
    kinds = {name: kind for name, kind in FaultKind.registry.items() if kind.has_json}
    kind = kinds.get(str(value.get("fault")))
    if kind is None:
        raise FaultError(f"fault: must be one of {', '.join(kinds)}; got {value.get('fault')!r}")
    hints = get_type_hints(kind)
    known = {field.name: field for field in fields(kind)}
    given = {name: item for name, item in value.items() if name != "fault"}
    for name, item in given.items():
        if name not in known:
            raise FaultError(
                f"{name}: not a field of {kind.__name__}, which has {', '.join(known)}"
            )
        if not _fits(item, hints[name]):
            raise FaultError(f"{name}: {item!r} is of the wrong type, or not a known value")
    for name, field in known.items():
        is_needed = field.default is MISSING and field.default_factory is MISSING
        if is_needed and name not in given:
            raise FaultError(f"{name}: is missing")
    fault: Fault = kind(**given)
    return fault


def fault_to_json(fault: Fault) -> Json:
    """A fault with those of its fields that are not as by default."""
    shown: Json = {"fault": type(fault).__name__}
    for field in fields(fault):
        value = getattr(fault, field.name)
        default = field.default if field.default_factory is MISSING else field.default_factory()
        if value != default and field.repr:
            shown[field.name] = dict(value) if isinstance(value, Mapping) else value
    return shown


def planned_to_json(planned: Iterable[Planned]) -> Json:
    """A plan as `/emulator/faults` shows it."""
    return {
        "faults": [
            {
                "id": one.id,
                "fault": fault_to_json(one.fault),
                "hits": one.hits,
                "isConsumed": one.is_consumed,
            }
            for one in planned
        ]
    }


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value of JSON fits a field's type."""
    origin = get_origin(hint)
    if origin in {Union, UnionType}:
        return any(_fits(value, part) for part in get_args(hint))
    if origin is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if hint is type(None):
        return value is None
    if origin is not None:
        return isinstance(value, Mapping) and all(
            isinstance(item, str) for pair in value.items() for item in pair
        )
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return isinstance(value, hint) and (hint is bool or not isinstance(value, bool))
