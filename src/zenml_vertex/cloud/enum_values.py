"""The values of enums that the installed client of Google's can send."""

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
