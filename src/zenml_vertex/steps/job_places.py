"""Where the jobs of step runs are, as far as that can be believed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zenml_vertex.following.metadata import PARENT_KEY
from zenml_vertex.job.identity import is_parent
from zenml_vertex.steps.owner import find_owner

if TYPE_CHECKING:
    from zenml_vertex.steps.operator import VertexStepOperator

# Each costs a request, made as whoever looks.
MOST_PLACES = 20


@dataclass(frozen=True, slots=True)
class JobPlaces:
    """Projects and regions, as the API names them, beside the step operator's own."""

    # Where to look.
    trusted: tuple[str, ...] = ()
    # In projects that no settings name.
    unnamed: tuple[str, ...] = ()
    # More than one command asks.
    surplus: tuple[str, ...] = ()


def find_job_places(operator: "VertexStepOperator", parent: str) -> JobPlaces:
    """Where step runs of the last weeks have their jobs.

    Their metadata says so, which a step can write, and who looks there sends credentials. So
    only those projects count that the step's settings or its step operator name.

    Args:
        operator: The step operator of the command.
        parent: Its own project and region, which are known.

    Raises:
        ServerUnreachable: If the ZenML server cannot be asked.
    """
    own_project = parent.split("/")[1]
    owners: dict[object, VertexStepOperator] = {}
    trusted, unnamed = set[str](), set[str]()
    for step_run in operator.step_runs.iter_elsewhere(parent):
        found = str(step_run.run_metadata.get(PARENT_KEY))
        if found in trusted or found == parent or not is_parent(found):
            continue
        name = step_run.config.step_operator
        if name not in owners:
            owners[name] = find_owner(step_run, operator)
        settings = owners[name].get_settings(step_run)
        is_named = found.split("/")[1] in {own_project, settings.project}
        (trusted if is_named else unnamed).add(found)
    ordered = sorted(trusted)
    return JobPlaces(
        tuple(ordered[:MOST_PLACES]),
        tuple(sorted(unnamed - trusted)),
        tuple(ordered[MOST_PLACES:]),
    )
