"""A CustomJob as clients write it, and what they ask to see of one. Pure."""

from vertex_emulator.core import proto_json
from vertex_emulator.core.errors import Json
from vertex_emulator.jobs.schema import CUSTOM_JOB


def read_custom_job(body: Json, *, beta: bool = False) -> Json:
    """A CustomJob as a client sent it, in the service's spelling.

    Fields that the service sets, and unset ones, are left out.

    Args:
        body: The message.
        beta: Whether the request came to v1beta1, which has more fields.

    Raises:
        ApiError: INVALID_ARGUMENT that names every unknown field and wrong value.
    """
    return proto_json.read_message(body, CUSTOM_JOB, beta=beta)


def read_mask(mask: str) -> list[list[str]]:
    """The paths of a FieldMask of a CustomJob, in either spelling; an empty list for all.

    Raises:
        ApiError: INVALID_ARGUMENT for a path that a CustomJob does not have.
    """
    return proto_json.read_mask(mask, CUSTOM_JOB)
