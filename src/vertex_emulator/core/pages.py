"""Page sizes and page tokens of list calls. Pure.

A token is opaque to clients: it holds the position of the last item, and a mark of
the query, since the API wants the same query for every page.
"""

import base64
import json
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from itertools import islice
from typing import Any, TypeVar

from vertex_emulator.core.errors import invalid_argument

T = TypeVar("T")
Position = tuple[str, str]


def read_page_size(value: Any, default: int, most: int) -> int:
    """The number of items on a page; 0 stands for the default, more than `most` for `most`.

    Raises:
        ApiError: INVALID_ARGUMENT for what is not a number of items.
    """
    try:
        size = int(value)
    except (TypeError, ValueError, OverflowError):
        size = -1
    if size < 0 or isinstance(value, bool):
        raise invalid_argument("The page size must be a number that is not negative.")
    return min(size, most) or default


def take_page(
    items: Iterable[T], size: int, position_of: Callable[[T], Position], *query: str
) -> tuple[list[T], str]:
    """The next page of a list, which is read no further than that, and the token of the one after.

    Args:
        items: What is left of the list.
        size: How many a page has, at least 1.
        position_of: Where an item is in the list.
        query: What every page has to ask for.

    Returns:
        The page, and the token; an empty one for the last page.
    """
    rest = iter(items)
    page = list(islice(rest, size))
    is_last = next(rest, None) is None
    return page, "" if is_last else write_page_token(position_of(page[-1]), *query)


def write_page_token(position: Position, *query: str) -> str:
    """The token of the page after a position."""
    content = json.dumps([*position, _mark(query)])
    return base64.urlsafe_b64encode(content.encode()).decode()


def read_page_token(token: str, *query: str) -> Position | None:
    """The position that a token stands for; None for an empty token.

    Raises:
        ApiError: INVALID_ARGUMENT for what is not a token, or for a token of another query.
    """
    if not token:
        return None
    try:
        first, second, mark = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, RecursionError) as exc:
        raise invalid_argument("The page token is invalid.") from exc
    if mark != _mark(query) or not isinstance(first, str) or not isinstance(second, str):
        raise invalid_argument("The page token is invalid: it belongs to another query.")
    return first, second


def _mark(query: Sequence[str]) -> str:
    return sha256(json.dumps(query).encode()).hexdigest()[:16]
