"""Pipeline runs whose steps have been ended by a command."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

import click

from zenml_vertex.errors import StepRunNotFound, VertexStepOperatorError

if TYPE_CHECKING:
    from zenml_vertex.steps.open_steps import EndedRun


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
    nexts: list[str] = []
    are_told = True
    for run_id in sorted({*run_ids} - {""}):
        try:
            ended = finish_run(UUID(run_id), is_abandoned=True, is_forced=is_forced)
        except VertexStepOperatorError as error:
            cure = f" When the server answers, `zenml-vertex jobs settle {run_id}` ends it."
            click.echo(
                f"Run {run_id}  was not ended: {error}{cure if error.retryable else ''}", err=True
            )
            are_told = False
            continue
        statuses.append(ended.status if ended else None)
        click.echo(f"Run {run_id}  {ended.status}" if ended else _describe_open(run_id))
        nexts += _find_next(run_id, ended)
    _tell_next(nexts)
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
    nexts: list[str] = []
    has_ended = False
    for run_id in run_ids:
        if str(run_id) in but:
            continue
        # It may have been deleted since.
        with suppress(StepRunNotFound):
            if ended := finish_run(run_id, is_abandoned=False, is_forced=is_forced):
                click.echo(f"Run {run_id}  {ended.status}")
                nexts += _find_next(str(run_id), ended)
                has_ended = True
    _tell_next(nexts)
    return has_ended


def _find_next(run_id: str, ended: "EndedRun | None") -> list[str]:
    """What whoever wants the results of a run does next; nothing if it has them, or will."""
    if ended is None or ended.status == "completed":
        return []
    if ended.can_be_retried:
        return [
            f"To have its results: `zenml pipeline runs retry {run_id}` runs what has not "
            "completed."
        ]
    return [
        "To have its results, start the pipeline again: what has completed comes from the cache, "
        "if that is on."
    ]


def _tell_next(nexts: Iterable[str]) -> None:
    for text in dict.fromkeys(nexts):
        click.echo(text)


def _describe_open(run_id: str) -> str:
    return (
        f"Run {run_id}  goes on: a step of it has not ended, or its orchestrator ends it. "
        f"`zenml pipeline runs refresh {run_id}` asks the orchestrator."
    )
