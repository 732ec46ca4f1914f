"""How the messages of an API are described: as data, for the reader of their JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Scalar = Literal[
    "string", "bool", "int32", "int64", "duration", "timestamp", "map", "struct", "output"
]
"""`map` is a map from text to text, and `struct` any JSON object. `output` is a field of any
type that the service sets: a request may carry it, and it is dropped."""


@dataclass(frozen=True, slots=True, eq=False)
class Enum:
    """An enum; equal to itself only."""

    name: str
    """Its full name, such as `google.cloud.aiplatform.v1.AcceleratorType`."""
    numbers: Mapping[str, int]
    """Name of a member -> its number."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a message."""

    type: "Scalar | Enum | Message"
    repeated: bool = False
    oneof: str | None = None
    """Name of the oneof that it belongs to."""
    beta_only: bool = False
    """Whether v1 does not have it."""
    is_output: bool = False
    """Whether the service sets it, though its type is known: it is dropped from a request too."""


@dataclass(frozen=True, slots=True, eq=False)
class Message:
    """A message; equal to itself only."""

    full_name: str
    """Such as `google.cloud.aiplatform.v1.CustomJob`."""
    fields: Mapping[str, Field]
    """Name in lowerCamelCase -> field."""

    @property
    def name(self) -> str:
        """Its name alone, such as `CustomJob`."""
        return self.full_name.rpartition(".")[2]
