"""Pipeline runs whose steps have been ended by a command."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import click

from zenml_vertex.errors import StepRunNotFound, VertexStepOperatorError


@dataclass(frozen=True, slots=True)
class Ends:
    """How pipeline runs have ended."""

    # Whether all of them have completed.
    have_completed: bool = True
    # Whether the ZenML server could be told of all of them.
    are_told: bool = True


def finish_runs(run_ids: Iterable[str], *, is_forced: bool = False) -> Ends:
    """End pipeline runs whose clients are gone, and say how they have ended.

    Args:
        run_ids: Runs of which a step was found that no client followed.
        is_forced: Whether the clients are gone, whatever they have signed.
    """
    from zenml_vertex.steps.open_steps import finish_run

    statuses: list[str | None] = []
    are_told = True
    for run_id in sorted({*run_ids} - {""}):
        try:
            status = finish_run(UUID(run_id), is_abandoned=True, is_forced=is_forced)
        except VertexStepOperatorError as error:
            cure = f" When the server answers, `zenml-vertex jobs settle {run_id}` ends it."
            click.echo(
                f"Run {run_id}  was not ended: {error}{cure if error.retryable else ''}", err=True
            )
            are_told = False
            continue
        statuses.append(status)
        click.echo(f"Run {run_id}  {status}" if status else _describe_open(run_id))
    return Ends(are_told and all(status == "completed" for status in statuses), are_told)


def finish_left_runs(run: str | None, but: set[str], *, is_forced: bool = False) -> bool:
    """End pipeline runs whose steps had all ended before, and whose clients have ended.

    Args:
        run: Name or ID of a run; None for all.
        but: IDs of runs that are seen to otherwise.
        is_forced: Whether the clients are gone, whatever they have signed.

    Returns:
        Whether there were any.
    """
    from zenml_vertex.steps.open_steps import find_run, finish_run, iter_open_runs

    if run:
        found = find_run(run)
        run_ids = [] if found.status.is_finished else [found.id]
    else:
        run_ids = list(iter_open_runs())
    ended = False
    for run_id in run_ids:
        if str(run_id) in but:
            continue
        # It may have been deleted since.
        with suppress(StepRunNotFound):
            status = finish_run(run_id, is_abandoned=False, is_forced=is_forced)
            if status:
                click.echo(f"Run {run_id}  {status}")
                ended = True
    return ended


def _describe_open(run_id: str) -> str:
    return (
        f"Run {run_id}  goes on: a step of it has not ended, or its orchestrator ends it. "
        f"`zenml pipeline runs refresh {run_id}` asks the orchestrator."
    )
