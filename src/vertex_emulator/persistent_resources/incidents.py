"""What can happen to a persistent resource by plan. Pure data.

The vocabulary is fixed; causes, limits and texts are data, so that a new fault needs no new
incident.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from vertex_emulator.core.errors import Json

Stage = Literal["provisioning", "running"]


@dataclass(frozen=True, slots=True)
class Fail:
    """It is in ERROR: its create fails, or the jobs that run on it do.

    Args:
        error: The `google.rpc.Status` of the resource, of its operation and of the jobs.
    """

    error: Json


@dataclass(frozen=True, slots=True)
class LoseMachines:
    """Every job on it loses its machines, gets others, and is restarted; it stays RUNNING.

    Args:
        cause: Restarts of a job are counted for each cause.
        limit: How many restarts a job has for this cause; at least 0.
        error: The `google.rpc.Status` of a job that is not restarted.
    """

    cause: str
    limit: int
    error: Json


ResourceIncident = Fail | LoseMachines


@dataclass(frozen=True, slots=True)
class ResourceAct:
    """What a script does to a persistent resource, once.

    Args:
        stage: In which stage.
        after: Seconds of the emulator's clock from the stage's beginning; at least 0.
        incident: What happens.
        fault: ID of the planned fault that it comes from.
    """

    stage: Stage
    after: float
    incident: ResourceIncident
    fault: str = ""


_KINDS: dict[str, Any] = {"Fail": Fail, "LoseMachines": LoseMachines}


def act_to_json(act: ResourceAct) -> Json:
    """An act as it is kept."""
    return {**asdict(act), "kind": type(act.incident).__name__}


def act_from_json(kept: Json) -> ResourceAct:
    """The act that was kept."""
    fields = dict(kept)
    incident = _KINDS[fields.pop("kind")](**fields.pop("incident"))
    return ResourceAct(**fields, incident=incident)
