"""The texts of log entries: how they are compared, and which ones an entry has. Pure."""

from collections.abc import Iterator
from typing import Any
from unicodedata import normalize


def fold(text: str) -> str:
    """A text as Cloud Logging compares it: NFKC, and without regard to case.

    https://cloud.google.com/logging/docs/view/logging-query-language#comparison-operators
    """
    return text.lower() if text.isascii() else normalize("NFKC", normalize("NFKC", text).casefold())


def read_scalars(value: Any) -> Iterator[Any]:
    """Every value in a JSON value that is neither an object nor a list."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from read_scalars(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from read_scalars(inner)
    else:
        yield value


def read_texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    return (found for found in read_scalars(value) if isinstance(found, str))
