"""The fields and the values of enums that the installed client of Google's can send."""

import re
from typing import Any

from zenml_vertex.cloud.client_import import CustomJob


def read_enum_values(path: str) -> frozenset[str]:
    """The values that the client knows for a field of the CustomJob.

    Args:
        path: Where it stands, such as `jobSpec.scheduling.strategy`.
    """
    message = CustomJob.pb(CustomJob()).DESCRIPTOR
    *parents, last = (part.partition("[")[0] for part in path.split("."))
    for part in parents:
        message = message.fields_by_camelcase_name[part].message_type
    return frozenset(message.fields_by_camelcase_name[last].enum_type.values_by_name)


def is_known(path: str, value: str | None) -> bool:
    """Whether the client knows a field of the CustomJob, or a value of one that is an enum.

    Args:
        path: Where it stands; the name of the field itself in either of the API's spellings.
        value: Name of a value; None for the field alone.
    """
    message = CustomJob.pb(CustomJob()).DESCRIPTOR
    found: Any = None
    for part in re.sub(r"\[\d+\]", "", path).split("."):
        fields = {**message.fields_by_name, **message.fields_by_camelcase_name} if message else {}
        found = fields.get(part)
        if found is None:
            return False
        message = found.message_type
    return value is None or value in found.enum_type.values_by_name
