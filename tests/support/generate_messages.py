"""Prints the table of a CustomJob's messages from the descriptors of Google's client, v1.

Run it as `python -m tests.support.generate_messages > src/zenml_vertex/data/custom_job.json`. The
operator reads it so that it can check parts of a request without the client.
"""

import json
import sys
from typing import Any

from google.cloud import aiplatform_v1

from tests.support.generate_schema import find_output_only

_BOOL, _INT32, _INT64, _STRING, _MESSAGE, _ENUM = 8, 5, 3, 9, 11, 14
_SCALARS = {_BOOL: "bool", _INT32: "int32", _INT64: "int64", _STRING: "string"}


def build_messages() -> dict[str, Any]:
    """Name of a message -> name of a field -> its type; name of an enum -> its values."""
    found: dict[str, Any] = {}
    _add(aiplatform_v1.CustomJob.pb().DESCRIPTOR, found)
    return found


def _add(message: Any, found: dict[str, Any]) -> None:
    name = _name(message)
    if name in found:
        return
    fields: dict[str, str] = {}
    found[name] = fields
    output = find_output_only(message)
    for field in message.fields:
        fields[field.json_name] = "output" if field.name in output else _describe(field, found)


def _describe(field: Any, found: dict[str, Any]) -> str:
    suffix = "[]" if field.is_repeated else ""
    if field.type == _ENUM:
        name = _name(field.enum_type)
        found[name] = [value.name for value in field.enum_type.values]
        return name + suffix
    if field.type != _MESSAGE:
        return _SCALARS[field.type] + suffix
    if field.message_type.GetOptions().map_entry:
        return "map"
    if field.message_type.full_name == "google.protobuf.Duration":
        return f"duration{suffix}"
    _add(field.message_type, found)
    return _name(field.message_type) + suffix


def _name(descriptor: Any) -> str:
    name: str = descriptor.full_name
    return name.removeprefix(f"{descriptor.file.package}.")


def render() -> str:
    """The data file."""
    return json.dumps(build_messages(), indent=1) + "\n"


if __name__ == "__main__":
    sys.stdout.write(render())
