"""What is planned to happen to persistent resources, as their service gets it."""

from collections.abc import Callable
from dataclasses import dataclass

from vertex_emulator.persistent_resources.incidents import ResourceAct
from vertex_emulator.persistent_resources.resource import PersistentResource


def _no_script(resource: PersistentResource) -> tuple[ResourceAct, ...]:
    del resource
    return ()


@dataclass(frozen=True, slots=True)
class ResourceScripts:
    """Where the scripts of persistent resources come from.

    Args:
        write: Gives the script of one that is created.
        happened: Called with the fault of each act that was carried out.
    """

    write: Callable[[PersistentResource], tuple[ResourceAct, ...]] = _no_script
    happened: Callable[[str], None] = lambda _: None
