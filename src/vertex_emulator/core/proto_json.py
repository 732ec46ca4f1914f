"""JSON in and out, as Google's servers read and write protocol messages. Pure.

Both spellings of a name (`jobSpec`, `job_spec`) and both forms of an enum (name,
number) are read; lowerCamelCase and names are written. Unset fields are left out.
https://protobuf.dev/programming-guides/json/
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from vertex_emulator.core.errors import (
    Json,
    Violation,
    invalid_argument,
    unreadable_json,
)
from vertex_emulator.core.messages import Enum, Field, Message
from vertex_emulator.core.times import parse_duration, parse_time

_INT_LIMITS = {"int32": 2**31, "int64": 2**63}
_INT_TEXT = re.compile(r"-?[0-9]{1,19}")
# Environment variables are at `env` and below it.
_SECRET_PATH = re.compile(r"\.env\b")
_STRUCTURES = {"a message", "a list", "a map"}
_PROTO_TYPE = {
    "string": "TYPE_STRING",
    "bool": "TYPE_BOOL",
    "int32": "TYPE_INT32",
    "int64": "TYPE_INT64",
    "duration": "type.googleapis.com/google.protobuf.Duration",
    "timestamp": "type.googleapis.com/google.protobuf.Timestamp",
    "struct": "type.googleapis.com/google.protobuf.Struct",
}
# What is a text in JSON, and more than any text.
_TEXT_PARSERS: Mapping[str, Callable[[str], object]] = {
    "duration": parse_duration,
    "timestamp": parse_time,
}


def load_body(body: bytes) -> Json:
    """Read the body of a request; an empty one is an empty message.

    Raises:
        ApiError: INVALID_ARGUMENT for anything but a JSON object in UTF-8.
    """
    if not body.strip():
        return {}
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse_constant)
        # A lone surrogate can be written in JSON and not in UTF-8.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as exc:
        raise invalid_argument("Invalid JSON payload received. Unexpected token.") from exc
    if not isinstance(value, dict):
        raise invalid_argument(
            'Invalid JSON payload received. Unknown name "": Root element must be a message.'
        )
    return value


def read_message(
    body: Json, message: Message, *, beta: bool = False, is_request: bool = False
) -> Json:
    """A message as a client sent it, in the service's spelling.

    Fields that the service sets, and unset ones, are left out.

    Args:
        body: The message's JSON.
        message: What it must be.
        beta: Whether the request came to v1beta1, which may have more fields.
        is_request: Whether it is a method's request itself, and not a field of it: errors name
            its fields without a prefix then.

    Raises:
        ApiError: INVALID_ARGUMENT that names every unknown field and wrong value.
    """
    reader = _Reader(beta=beta)
    read: Json = reader.read_message(body, message, "" if is_request else snake_case(message.name))
    if reader.violations:
        raise unreadable_json(reader.violations)
    return read


def snake_case(name: str) -> str:
    """`workerPoolSpecs` -> `worker_pool_specs`, `CustomJob` -> `custom_job`."""
    words = "".join(f"_{char.lower()}" if char.isupper() else char for char in name)
    return words.removeprefix("_")


def read_mask(mask: str, message: Message) -> list[list[str]]:
    """The paths of a FieldMask, in either spelling; an empty list for everything.

    Args:
        mask: Paths with commas between them.
        message: What the paths lead into.

    Raises:
        ApiError: INVALID_ARGUMENT for a path that the message does not have.
    """
    paths = [path.strip() for path in mask.split(",") if path.strip()]
    return [] if "*" in paths else [_resolve_path(path, message) for path in paths]


def mask_message(message: Json, paths: list[list[str]]) -> Json:
    """The parts of a message that a mask names; all of it for no paths."""
    if not paths:
        return message
    masked: Json = {}
    for parts in paths:
        source: Any = message
        target = masked
        for part in parts[:-1]:
            source = source.get(part, {})
            target = target.setdefault(part, {})
        if parts[-1] in source:
            target[parts[-1]] = source[parts[-1]]
    return masked


def _resolve_path(path: str, root: Message) -> list[str]:
    message: Message | None = root
    parts = []
    for written in path.split("."):
        name = names_of(message).get(written) if message else None
        if message is None or name is None:
            raise invalid_argument(f"Invalid field mask: `{path}` is not a path of a {root.name}.")
        field = message.fields[name]
        is_open = isinstance(field.type, Message) and not field.repeated
        message = field.type if is_open and isinstance(field.type, Message) else None
        parts.append(name)
    return parts


def _refuse_constant(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")


@lru_cache(maxsize=64)
def names_of(message: Message) -> Mapping[str, str]:
    """Either spelling of a field's name -> its name."""
    return {written: name for name in message.fields for written in (snake_case(name), name)}


class _Reader:
    """Reads messages and collects what is wrong with them."""

    def __init__(self, *, beta: bool) -> None:
        self.violations: list[Violation] = []
        self._beta = beta

    def read_message(self, value: Any, message: Message, path: str) -> Any:
        if not isinstance(value, Mapping):
            return self._refuse(path, "a message", value)
        read: Json = {}
        oneofs: dict[str, str] = {}
        for name, field, written, item in self._known_items(value, message, path):
            if field.type == "output" or field.is_output or item is None:
                continue
            if field.oneof and field.oneof in oneofs:
                self._add(
                    path,
                    f"Invalid value at '{path}' (oneof), oneof field '{field.oneof}' is already "
                    f"set. Cannot set '{written}'",
                )
            if field.oneof:
                oneofs[field.oneof] = name
            result = self._read_field(item, field, f"{path}.{snake_case(name)}".lstrip("."))
            if not _is_default(result, field):
                read[name] = result
        return read

    def _known_items(
        self, value: Mapping[Any, Any], message: Message, path: str
    ) -> Iterator[tuple[str, Field, str, Any]]:
        names = names_of(message)
        for written, item in value.items():
            name = names.get(written)
            if name is None or (message.fields[name].beta_only and not self._beta):
                place = f" at '{path}'" if path else ""
                self._add(
                    path,
                    f'Invalid JSON payload received. Unknown name "{written}"{place}: '
                    "Cannot find field.",
                )
            else:
                yield name, message.fields[name], written, item

    def _read_field(self, value: Any, field: Field, path: str) -> Any:
        if not field.repeated:
            return self._read_value(value, field, path)
        if not isinstance(value, list):
            return self._refuse(path, "a list", value)
        return [
            self._read_value(item, field, f"{path}[{index}]") for index, item in enumerate(value)
        ]

    def _read_value(self, value: Any, field: Field, path: str) -> Any:
        kind = field.type
        if isinstance(kind, Message):
            return self.read_message(value, kind, path)
        if isinstance(kind, Enum):
            return self._read_enum(value, kind.name, kind.numbers, path)
        return self._read_scalar(value, kind, path)

    def _read_scalar(self, value: Any, kind: str, path: str) -> Any:
        if kind == "map":
            return self._read_map(value, path)
        if kind in _INT_LIMITS:
            return self._read_int(value, kind, path)
        if kind in _TEXT_PARSERS:
            return self._read_text(value, kind, path)
        types = {"bool": bool, "struct": dict}
        if not isinstance(value, types.get(kind, str)):
            return self._refuse(path, _PROTO_TYPE[kind], value)
        return value

    def _read_enum(self, value: Any, name: str, numbers: Mapping[str, int], path: str) -> Any:
        if isinstance(value, str) and value in numbers:
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            # proto3 enums are open: a number without a name travels as it is.
            return next((member for member, number in numbers.items() if number == value), value)
        return self._refuse(path, f"type.googleapis.com/{self._versioned(name)}", value)

    def _read_map(self, value: Any, path: str) -> Any:
        if not isinstance(value, Mapping):
            return self._refuse(path, "a map", value)
        for key, item in value.items():
            if not isinstance(item, str):
                self._refuse(f"{path}[{json.dumps(key)}]", _PROTO_TYPE["string"], item)
        return dict(value)

    def _read_int(self, value: Any, kind: str, path: str) -> Any:
        number: int | None = None
        if isinstance(value, int) and not isinstance(value, bool):
            number = value
        elif (isinstance(value, float) and value.is_integer()) or (
            isinstance(value, str) and _INT_TEXT.fullmatch(value)
        ):
            number = int(value)
        limit = _INT_LIMITS[kind]
        if number is None or not -limit <= number < limit:
            return self._refuse(path, _PROTO_TYPE[kind], value)
        return str(number) if kind == "int64" else number

    def _read_text(self, value: Any, kind: str, path: str) -> Any:
        try:
            _TEXT_PARSERS[kind](value if isinstance(value, str) else "")
        except ValueError:
            return self._refuse(path, _PROTO_TYPE[kind], value)
        return value

    def _versioned(self, name: str) -> str:
        """The full name of an enum in the API's version that was asked; names are those of v1."""
        return name.replace(".v1.", ".v1beta1.") if self._beta else name

    def _refuse(self, path: str, kind: str, value: Any) -> None:
        """A value that does not fit; shown only if it cannot hold an environment variable."""
        # An object, a list, or one of them written as a string may hold an `env` inside.
        is_structure = isinstance(value, Mapping | list)
        is_secret = (
            _SECRET_PATH.search(path)
            or is_structure
            or (kind in _STRUCTURES and isinstance(value, str))
        )
        shown = "***" if value and is_secret else json.dumps(value)[:100]
        self._add(path, f"Invalid value at '{path}' ({kind}), {shown}")

    def _add(self, path: str, description: str) -> None:
        self.violations.append(Violation(path, description))


def _is_default(value: Any, field: Field) -> bool:
    """Whether a value cannot be told from an unset one; a message can, and one of a oneof."""
    if field.oneof or (isinstance(field.type, Message) and not field.repeated):
        return value is None
    if isinstance(field.type, Enum) and not field.repeated:
        return value is None or field.type.numbers.get(value) == 0
    if value == "0":
        # JSON has 64-bit integers as text.
        return field.type == "int64"
    return value in (None, "", 0, [], {})
