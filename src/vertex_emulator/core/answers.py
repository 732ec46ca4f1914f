"""Answers as clients ask for them: parts of messages, and enums as numbers. Pure.

https://cloud.google.com/apis/docs/system-parameters (`$fields`, `$alt`), and for the syntax of
`fields`, https://developers.google.com/drive/api/guides/fields-parameter. That a dot parts
names as a slash does, and the refusal of a path that does not exist, are from public reports.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from vertex_emulator.core.errors import ApiError, Violation
from vertex_emulator.core.messages import Enum, Message
from vertex_emulator.core.proto_json import names_of

Path = tuple[str, ...]
"""Names of fields, from the outermost message to the innermost."""

_Tree = Mapping[str, "_Tree | None"]
_Enums = Enum | Mapping[str, "_Enums"]

_EACH = "*"
# What is below a field of these types is not described.
_OPEN = {"map", "struct", "output"}
# Deeper than any message of the emulator's, and not so deep that reading it needs much stack.
_DEEPEST = 20
_TOKEN = re.compile(r"\s*([A-Za-z_@][\w@-]*|[*,/.()])")


def read_paths(text: str) -> list[Path]:
    """What `fields` selects, such as `nextPageToken,customJobs(name,error/message)`.

    Args:
        text: Names, with `,` between fields, `/` or `.` before a part of one, `(...)` around
            several parts, and `*` for each field.

    Returns:
        The paths of the fields; an empty list for everything.

    Raises:
        ApiError: INVALID_ARGUMENT for what cannot be read.
    """
    return [] if text.strip() in {"", _EACH} else _Reader(text).read()


def resolve_paths(paths: Iterable[Path], message: Message) -> list[Path]:
    """Paths with their names in lowerCamelCase, and without `*`.

    Args:
        paths: As `read_paths` returns them.
        message: What they lead into.

    Raises:
        ApiError: INVALID_ARGUMENT that names every path that the message does not have.
    """
    resolved: list[Path] = []
    violations = []
    for path in paths:
        found = list(_resolve(path, message))
        resolved += found
        if not found:
            written = ".".join(path)
            description = (
                "Error expanding 'fields' parameter. Cannot find matching fields for path "
                f"'{written}'."
            )
            violations.append(Violation(written, description))
    if violations:
        text = "Request contains an invalid argument."
        raise ApiError("INVALID_ARGUMENT", text, violations=violations)
    return resolved


def select(message: Any, paths: Sequence[Path]) -> Any:
    """The parts of a message that paths lead to; all of it for no paths."""
    return _select(message, _build_tree(paths)) if paths else message


def number_enums(value: Any, message: Message) -> Any:
    """A message with the numbers of its enums instead of their names.

    Args:
        value: The message as JSON.
        message: What it is.
    """
    return _number(value, _find_enums(message))


class _Reader:
    """Reads what `fields` selects, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[str] = []
        position, end = 0, len(text.rstrip())
        while position < end:
            found = _TOKEN.match(text, position)
            if found is None:
                raise self._malformed()
            self._tokens.append(found[1])
            position = found.end()
        self._tokens.reverse()

    def read(self) -> list[Path]:
        paths = self._read_list(0)
        if self._tokens:
            raise self._malformed()
        return paths

    def _read_list(self, depth: int) -> list[Path]:
        paths = self._read_field(depth)
        while self._take(","):
            paths += self._read_field(depth)
        return paths

    def _read_field(self, depth: int) -> list[Path]:
        name = self._tokens.pop() if self._tokens else ""
        if not name or name in ",/.()" or depth > _DEEPEST:
            raise self._malformed()
        if self._take("/") or self._take("."):
            parts = self._read_field(depth + 1)
        elif self._take("("):
            parts = self._read_list(depth + 1)
            if not self._take(")"):
                raise self._malformed()
        else:
            parts = [()]
        return [(name, *part) for part in parts]

    def _take(self, token: str) -> bool:
        is_next = self._tokens[-1:] == [token]
        if is_next:
            self._tokens.pop()
        return is_next

    def _malformed(self) -> ApiError:
        return ApiError("INVALID_ARGUMENT", f"Invalid field selection `{self._text[:200]}`.")


def _resolve(path: Path, message: Message) -> Iterator[Path]:
    name, rest = path[0], path[1:]
    names = message.fields if name == _EACH else filter(None, [names_of(message).get(name)])
    for known in names:
        kind = message.fields[known].type
        if not rest:
            yield (known,)
        elif isinstance(kind, Message):
            yield from ((known, *part) for part in _resolve(rest, kind))
        elif kind in _OPEN:
            yield (known, *rest)


def _build_tree(paths: Iterable[Path]) -> _Tree:
    tree: dict[str, Any] = {}
    for path in paths:
        node = tree
        for name in path[:-1]:
            inner = node.setdefault(name, {})
            if inner is None:
                # All of it is wanted already.
                break
            node = inner
        else:
            node[path[-1]] = None
    return tree


def _select(value: Any, tree: _Tree) -> Any:
    if isinstance(value, list):
        return [_select(item, tree) for item in value]
    if not isinstance(value, Mapping):
        return value
    selected = {}
    for name, item in value.items():
        wanted = name if name in tree else _EACH
        if wanted in tree:
            below = tree[wanted]
            selected[name] = item if below is None else _select(item, below)
    return selected


@lru_cache(maxsize=64)
def _find_enums(message: Message) -> Mapping[str, _Enums]:
    """The fields of a message that are enums, or that have enums below them."""
    found: dict[str, _Enums] = {}
    for name, field in message.fields.items():
        if isinstance(field.type, Enum):
            found[name] = field.type
        elif isinstance(field.type, Message) and (below := _find_enums(field.type)):
            found[name] = below
    return found


def _number(value: Any, enums: _Enums) -> Any:
    if isinstance(value, list):
        return [_number(item, enums) for item in value]
    if isinstance(enums, Enum):
        return enums.numbers.get(value, value)
    if not isinstance(value, Mapping):
        return value
    return {
        name: _number(item, enums[name]) if name in enums else item for name, item in value.items()
    }
