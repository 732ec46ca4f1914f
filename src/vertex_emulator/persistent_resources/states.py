"""The states of a persistent resource. Vertex API reference, `PersistentResource.State`."""

from enum import Enum


class ResourceState(str, Enum):
    """The state of a persistent resource, by its name in the API."""

    PROVISIONING = "PROVISIONING"
    RUNNING = "RUNNING"
    STOPPING = "STOPPING"
    ERROR = "ERROR"
    REBOOTING = "REBOOTING"
    UPDATING = "UPDATING"


USABLE = frozenset({ResourceState.RUNNING, ResourceState.UPDATING})
"""Those in which jobs run. That they do so while it is updated, is assumed."""
