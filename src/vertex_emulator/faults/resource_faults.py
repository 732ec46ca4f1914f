"""Faults of persistent resources, as data: which is hit, and what happens to it.

What Vertex AI does then is not documented, but for the lack of machines when one is created:
https://cloud.google.com/vertex-ai/docs/training/persistent-resource-overview
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from vertex_emulator.core.errors import Json
from vertex_emulator.faults.kinds import FaultKind, find_kinds, require, require_seconds
from vertex_emulator.jobs import outcome
from vertex_emulator.persistent_resources.incidents import (
    Fail,
    LoseMachines,
    ResourceAct,
    ResourceIncident,
    Stage,
)
from vertex_emulator.persistent_resources.resource import PersistentResource


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceFault(FaultKind):
    """A fault of persistent resources. It hits those that match all that is given.

    A kind of fault is a subclass with its fields, its `stage` and `build_incident`.

    Args:
        labels: Labels that the resource has.
        display_name: Its display name, which is its ID unless its creator has given one.
        resource_id: Its ID; of one that exists, or that is created from now on.
        nth: Which of the resources that match, from 1.
        count: How many, from that one on; 0 for all.
        after: Seconds of the emulator's clock from the stage's beginning, which is the create or
            the first entry into RUNNING; at least 0, at most a year.
    """

    stage: ClassVar[Stage] = "running"
    """In which stage it happens."""

    labels: Mapping[str, str] = field(default_factory=dict)
    display_name: str | None = None
    resource_id: str | None = None
    nth: int = 1
    count: int = 1
    after: float = 0.0

    def __post_init__(self) -> None:
        require(self.nth >= 1, "nth", "at least 1")
        require(self.count >= 0, "count", "at least 0")
        require_seconds(self.after, "after")

    def matches(self, resource: PersistentResource) -> bool:
        """Whether it can hit a persistent resource."""
        return (
            self.display_name in {None, resource.request["displayName"]}
            and self.resource_id in {None, resource.resource_id}
            and all(resource.labels.get(key) == value for key, value in self.labels.items())
        )

    def build_incident(self, resource: PersistentResource) -> ResourceIncident:
        """What happens to a persistent resource that it hits."""
        raise NotImplementedError

    def build_acts(self, resource: PersistentResource, fault_id: str) -> tuple[ResourceAct, ...]:
        """What it adds to the script of a persistent resource.

        Args:
            resource: One that it hits.
            fault_id: ID of the fault in its plan.
        """
        return (ResourceAct(self.stage, self.after, self.build_incident(resource), fault_id),)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceStockout(ResourceFault):
    """No machines are available: the create fails with code 8, and the resource is in ERROR."""

    stage: ClassVar[Stage] = "provisioning"

    def build_incident(self, resource: PersistentResource) -> ResourceIncident:
        return Fail(outcome.stockout_error(resource.location))


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceBroken(ResourceFault):
    """The resource is in ERROR, and the jobs on it are FAILED, with code 13."""

    def build_incident(self, resource: PersistentResource) -> ResourceIncident:
        del resource
        return Fail(_broken_error())


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourcePreempted(ResourceFault):
    """The machines are preempted and replaced: the jobs on them are restarted, six times each."""

    def build_incident(self, resource: PersistentResource) -> ResourceIncident:
        return LoseMachines(
            "preemption",
            outcome.MAX_PREEMPTION_RESTARTS,
            outcome.stockout_error(resource.location),
        )


def _broken_error() -> Json:
    # No text is known.
    return {"code": 13, "message": "Internal error occurred for the persistent resource."}


if not TYPE_CHECKING:
    # To a type checker, every public name: it cannot read the registry.
    __all__ = ["ResourceFault"]
    __all__ += [kind.__name__ for kind in find_kinds(ResourceFault)]
