"""Pipeline runs whose steps have been ended by a command."""

from collections.abc import Iterable
from uuid import UUID

import click


def finish_runs(run_ids: Iterable[str]) -> bool:
    """End pipeline runs whose clients are gone, and say how they have ended.

    Args:
        run_ids: Runs of which a step was found that no client followed.

    Returns:
        Whether all of them have completed.
    """
    from zenml_vertex.steps.open_steps import finish_run

    have_completed = True
    for run_id in sorted({*run_ids} - {""}):
        status = finish_run(UUID(run_id), is_abandoned=True)
        have_completed = have_completed and status == "completed"
        click.echo(f"Run {run_id}  {status}" if status else _describe_open(run_id))
    return have_completed


def _describe_open(run_id: str) -> str:
    return (
        f"Run {run_id}  goes on: a step of it has not ended, or its orchestrator ends it. "
        f"`zenml pipeline runs refresh {run_id}` asks the orchestrator."
    )
