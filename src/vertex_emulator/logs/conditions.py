"""What a filter of log entries means: each comparison as a predicate. Pure.

https://cloud.google.com/logging/docs/view/logging-query-language: strings are compared without
regard to case, regular expressions with it; of a list, one member is enough; a comparison with a
missing field is false, whichever operator it has. Where the page says that a value that cannot
be converted makes a comparison fail, a field whose type is known beforehand refuses the filter.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2

from vertex_emulator.core.errors import Json
from vertex_emulator.core.filter_language import (
    ORDERED,
    PATTERNS,
    Comparison,
    FilterError,
    Function,
    Leaf,
)
from vertex_emulator.core.times import parse_nanoseconds
from vertex_emulator.logs.entry_fields import EntryField, Kind, find_field
from vertex_emulator.logs.functions import compile_function
from vertex_emulator.logs.shapes import SEVERITIES
from vertex_emulator.logs.texts import fold, read_scalars

Condition = Callable[[Json], bool]
# Whether a value of a field is what a comparison wants.
Check = Callable[[Any], bool]

# Cloud Logging's regular expressions are RE2's, whose time grows with the length of the text
# alone. These bound it: what a pattern may become, in bytes, and how much of a text is searched,
# which is as much as an entry can have.
_MAX_PATTERN_BYTES = 64 * 1024
_MAX_SEARCHED_CHARACTERS = 256 * 1024

_NUMBER = re.compile(
    r"[+-]?(\d+(?:\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?infinity|nan", re.IGNORECASE | re.ASCII
)
_DURATION = re.compile(r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))(ns|us|ms|s|m|h)", re.ASCII)
_SECONDS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TRUTHS = {"true": True, "false": False}


def compile_condition(leaf: Leaf) -> Condition:
    """The predicate of a comparison, a text or a function.

    Raises:
        FilterError: If it compares what cannot be compared, or names what does not exist.
    """
    if isinstance(leaf, Function):
        return compile_function(leaf)
    _refuse_asterisk(leaf.value, is_quoted=leaf.is_quoted or _asks_for_presence(leaf))
    if isinstance(leaf, Comparison):
        return _compile_comparison(leaf)
    has = _compile_any(":", leaf.value, is_null=False)
    return lambda entry: any(has(value) for value in read_scalars(entry))


def _compile_comparison(leaf: Comparison) -> Condition:
    field = find_field(leaf.path)
    if _asks_for_presence(leaf):
        return field.is_in
    check = _compile_check(field, leaf)
    return lambda entry: any(_holds(check, value) for value in field.values_in(entry))


def _holds(check: Check, value: Any) -> bool:
    """Whether a value, or one of a list, is what is wanted."""
    if isinstance(value, list):
        return any(_holds(check, item) for item in value)
    return check(value)


def _compile_check(field: EntryField, leaf: Comparison) -> Check:
    operator, wanted = leaf.operator, leaf.value
    if field.kind is Kind.ANY:
        is_null = wanted == "NULL_VALUE" and not leaf.is_quoted
        return _compile_any(operator, wanted, is_null=is_null)
    if field.kind in {Kind.PAYLOAD, Kind.MAP} and operator == ":":
        return _compile_any(operator, wanted, is_null=False)
    if field.kind in {Kind.PAYLOAD, Kind.MAP, Kind.MESSAGE}:
        raise FilterError(
            f"`{field}` is {field.kind.value}, which `{operator}` cannot compare: name a field "
            "in it"
        )
    if field.kind is Kind.TEXT:
        return _compile_text(operator, wanted)
    if operator in PATTERNS:
        raise FilterError(f"`{field}` is {field.kind.value}, and only texts have `{operator}`")
    if field.kind is Kind.TIME and operator == ":":
        raise FilterError(f"`{field}` is a time, which has no operator `:`")
    read = _READERS[field.kind]
    value = read(wanted)
    if value is None:
        raise FilterError(f"`{wanted}` is not {field.kind.value}, and `{field}` is")
    holds = ORDERED["=" if operator == ":" else operator]
    # A writer may have used a severity between those that have names.
    may_be_number = field.kind is Kind.SEVERITY

    def check(found: Any) -> bool:
        # JSON has 64-bit integers as texts.
        is_read = may_be_number and isinstance(found, int)
        read_value = found if is_read else read(str(found))
        return read_value is not None and holds(read_value, value)

    return check


def _compile_any(operator: str, wanted: str, *, is_null: bool) -> Check:
    """A comparison with a value whose type the entry decides."""
    check_text = _compile_text(operator, wanted)
    if operator in PATTERNS:
        return lambda value: isinstance(value, str) and check_text(value)
    holds = ORDERED["=" if operator == ":" else operator]
    number, truth = _read_number(wanted), _read_truth(wanted)

    def check(value: Any) -> bool:
        if is_null:
            is_wanted = value is None if operator in {"=", ":"} else value is not None
            return is_wanted and operator in {"=", "!=", ":"}
        if isinstance(value, str):
            return check_text(value)
        if isinstance(value, bool):
            return truth is not None and holds(value, truth)
        if isinstance(value, int | float):
            return number is not None and holds(value, number)
        if isinstance(value, dict) and operator == ":":
            # The page does not say it; keys count, as they do by https://google.aip.dev/160.
            return any(check_text(key) or _holds(check, value[key]) for key in value)
        return False

    return check


def _compile_text(operator: str, wanted: str) -> Check:
    if operator in PATTERNS:
        pattern, is_match = _read_pattern(wanted), operator == "=~"
        return lambda text: (
            bool(pattern.search(_encode(text[:_MAX_SEARCHED_CHARACTERS]))) is is_match
        )
    folded = fold(wanted)
    if operator == ":":
        return lambda text: folded in fold(text)
    holds = ORDERED[operator]
    return lambda text: holds(fold(text), folded)


def _asks_for_presence(leaf: Leaf) -> bool:
    """Whether it is `field:*`, which any value of the field fulfils."""
    if not isinstance(leaf, Comparison):
        return False
    return (leaf.operator, leaf.value, leaf.is_quoted) == (":", "*", False)


def _refuse_asterisk(text: str, *, is_quoted: bool) -> None:
    if "*" in text and not is_quoted:
        raise FilterError(
            f'`{text}` has a `*`, which stands for itself: put it in quotes, "{text}"'
        )


def read_time(text: str) -> int | None:
    """A time of a filter in nanoseconds since 1970; None for another text.

    A day without a time stands for its beginning, in UTC.
    """
    try:
        return parse_nanoseconds(f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text)
    except ValueError:
        return None


def _read_number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _read_truth(text: str) -> bool | None:
    return _TRUTHS.get(text.lower())


def _read_duration(text: str) -> float | None:
    match = _DURATION.fullmatch(text)
    # Whole nanoseconds compare exactly; seconds as binary fractions would not.
    return round(float(match[1]) * _SECONDS[match[2]] * 1e9) if match else None


def _read_severity(text: str) -> int | None:
    return SEVERITIES.get(text.upper())


_READERS: dict[Kind, Callable[[str], Any]] = {
    Kind.DURATION: _read_duration,
    Kind.NUMBER: _read_number,
    Kind.SEVERITY: _read_severity,
    Kind.TIME: read_time,
    Kind.TRUTH: _read_truth,
}


@lru_cache(maxsize=100)
def _read_pattern(text: str) -> Any:
    options = re2.Options()
    options.max_mem = _MAX_PATTERN_BYTES
    options.log_errors = False
    try:
        return re2.compile(_encode(text), options)
    except re2.error as exc:
        reason = exc.args[0].decode(errors="replace") if exc.args else "invalid"
        raise FilterError(f"`{text}` is not a regular expression: {reason}") from exc


def _encode(text: str) -> bytes:
    # A half of a surrogate pair can stand in an entry and in a filter, and is no UTF-8.
    return text.encode("utf-8", "replace")
