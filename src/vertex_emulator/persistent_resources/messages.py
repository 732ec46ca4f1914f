"""A PersistentResource as clients write it, and what they ask to change. Pure."""

from vertex_emulator.core import proto_json
from vertex_emulator.core.errors import ApiError, Json, Violation, found_errors
from vertex_emulator.core.messages import Field, Message
from vertex_emulator.jobs.pool_rules import REQUIRED
from vertex_emulator.persistent_resources.schema import PERSISTENT_RESOURCE

PAGE = Message(
    "google.cloud.aiplatform.v1.ListPersistentResourcesResponse",
    {
        "persistentResources": Field(PERSISTENT_RESOURCE, repeated=True),
        "nextPageToken": Field("string"),
    },
)


def read_resource(body: Json, *, beta: bool) -> Json:
    """A PersistentResource as a client sent it, in the service's spelling, without its name.

    Args:
        body: The message.
        beta: Whether the request came to v1beta1, which has more fields.

    Raises:
        ApiError: INVALID_ARGUMENT that names every unknown field and wrong value;
            UNIMPLEMENTED for a Ray cluster, which the emulator does not have.
    """
    read = proto_json.read_message(body, PERSISTENT_RESOURCE, beta=beta)
    if "raySpec" in read.get("resourceRuntimeSpec", {}):
        text = "The emulator does not serve `resource_runtime_spec.ray_spec`."
        raise ApiError("UNIMPLEMENTED", text)
    return {key: value for key, value in read.items() if key != "name"}


def read_update_mask(mask: str) -> list[list[str]]:
    """The paths of an update mask, in either spelling.

    Raises:
        ApiError: INVALID_ARGUMENT without a mask, or for a path that there is not.
    """
    paths = proto_json.read_mask(mask, PERSISTENT_RESOURCE)
    if not paths:
        raise found_errors([Violation("update_mask", REQUIRED)])
    return paths
