"""A request as handlers see it, and what they answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ApiRequest:
    """A request, as far as handlers look at it."""

    # Parts of the path by their names in the route, with `version` and `method`.
    path: Mapping[str, str]
    # Parameters behind the `?`.
    query: Mapping[str, str]
    # By their names in lower case.
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is not simply JSON with 200."""

    # Text, or an object to be written as JSON.
    content: Any
    # HTTP status.
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
