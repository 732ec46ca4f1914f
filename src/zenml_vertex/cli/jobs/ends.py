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


def finish_left_runs(run: str | None, but: set[str]) -> bool:
    """End pipeline runs whose steps had all ended before, and whose clients have ended.

    Args:
        run: Name or ID of a run; None for all.
        but: IDs of runs that are seen to otherwise.

    Returns:
        Whether there were any.
    """
    from zenml_vertex.steps.open_steps import find_run, finish_run, iter_open_runs

    if run:
        found = find_run(run)
        run_ids = [] if found.status.is_finished else [found.id]
    else:
        run_ids = list(iter_open_runs())
    ended = [
        (run_id, status)
        for run_id in run_ids
        if str(run_id) not in but and (status := finish_run(run_id, is_abandoned=False))
    ]
    for run_id, status in ended:
        click.echo(f"Run {run_id}  {status}")
    return bool(ended)


def _describe_open(run_id: str) -> str:
    return (
        f"Run {run_id}  goes on: a step of it has not ended, or its orchestrator ends it. "
        f"`zenml pipeline runs refresh {run_id}` asks the orchestrator."
    )
