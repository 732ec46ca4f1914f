"""`zenml-vertex jobs settle`."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from zenml_vertex.cli.jobs.ends import finish_left_runs, finish_runs
from zenml_vertex.cli.jobs.notes import remove_left_notes
from zenml_vertex.cli.jobs.places import errors, step_operator_option
from zenml_vertex.clock import read_time
from zenml_vertex.errors import VertexStepOperatorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zenml_vertex.steps.open_steps import OpenStep
    from zenml_vertex.steps.operator import VertexStepOperator

# Clients in one line, and steps of each.
_MOST_SHOWN = 4

force_option = click.option(
    "--force", is_flag=True,
    help="With RUN: also steps that a client seems to follow, which are named with it.",
)  # fmt: skip


@click.command(short_help="End step runs whose jobs are over and whose clients are gone.")
@click.argument("run", required=False)
@click.option("--all", "all_runs", is_flag=True, help="Step runs of all pipeline runs.")
@force_option
@step_operator_option
def settle(*, run: str | None, all_runs: bool, force: bool, step_operator: str | None) -> None:
    """End step runs whose jobs are over, and which no client will end, each with its reason.

    A pipeline run whose steps have all ended is ended too, if its client is gone, and its notes
    in the artifact store are removed. RUN is the name or ID of a pipeline run. A job that goes
    on is left as it is. Waits only for jobs that are perhaps not listed yet, because their
    clients were killed a moment ago while they created them: one minute at most for all of them.
    """
    check_choice(run, all_runs=all_runs, force=force)
    with errors():
        operator, steps = find_steps(run, step_operator, is_forced=force)

        from zenml_vertex.clock import SystemClock
        from zenml_vertex.steps.settling import settle as settle_steps

        settled = [
            (step, status)
            for step, result in settle_steps(operator, SystemClock(), steps, _announce)
            if (status := _describe(step, result)) is not None
        ]
        abandoned = {str(step.run.id) for step, status in settled if status}
        runs = finish_runs(abandoned, is_forced=force)
        have_ended = finish_left_runs(run, abandoned, is_forced=force)
        remove_left_notes(run)
    if not (settled or have_ended):
        click.echo("There is nothing to settle.")
    if any(not status for _, status in settled) or not runs.are_told:
        raise SystemExit(1)


def check_choice(run: str | None, *, all_runs: bool, force: bool) -> None:
    """Refuse a command that names no run or too many.

    Raises:
        click.UsageError: If it does.
    """
    if bool(run) == all_runs:
        raise click.UsageError("Name a pipeline run, or all of them with --all.")
    if force and all_runs:
        raise click.UsageError("--force goes with one pipeline run: name it.")


def find_steps(
    run: str | None, step_operator: str | None, *, is_forced: bool = False
) -> "tuple[VertexStepOperator, list[OpenStep]]":
    """The step operator, and the open step runs that no client follows.

    Those that a client follows are named, and left out.

    Args:
        run: A pipeline run; None for all.
        step_operator: Name of the step operator; None for the active stack's.
        is_forced: Whether those that a client seems to follow count too.
    """
    from zenml_vertex.cli.step_operators import load_step_operator
    from zenml_vertex.steps.open_steps import find_run, iter_open

    operator = load_step_operator(step_operator)
    found: list[OpenStep] = []
    left: list[OpenStep] = []
    now = read_time()
    for step in iter_open(operator.flavor, find_run(run) if run else None):
        if not step.is_awaited:
            found.append(step)
            continue
        (found if is_forced else left).append(step)
        if run:
            who = step.describe_client(now)
            click.echo(f"{step}  followed by {who}{'; overridden' if is_forced else ''}")
    if left and run:
        click.echo("If you know that it is gone, add `--force`.", err=True)
    elif left:
        click.echo(_describe_left(left, now))
    return operator, found


def _describe_left(left: "list[OpenStep]", now: datetime) -> str:
    """Which steps are left to whom, in one line."""
    by_client: dict[str, list[str]] = {}
    for step in left:
        by_client.setdefault(step.describe_client(now), []).append(str(step))
    shown = [f"{_enumerate(steps)} (followed by {client})" for client, steps in by_client.items()]
    return f"Left to their clients: {_enumerate(shown, '; ')}."


def _enumerate(items: "Sequence[str]", separator: str = ", ") -> str:
    """The first items, and how many more there are."""
    more = [f"{len(items) - _MOST_SHOWN} more"] if len(items) > _MOST_SHOWN else []
    return separator.join([*items[:_MOST_SHOWN], *more])


def _announce(number: int, seconds: float) -> None:
    from zenml_vertex.job.times import format_duration

    click.echo(
        f"{number} {'step has' if number == 1 else 'steps have'} no job that is listed. Looking "
        f"again in {format_duration(seconds)}: a job that was just created is listed late.",
        err=True,
    )


def _describe(step: "OpenStep", result: "str | VertexStepOperatorError | None") -> str | None:
    """Say how a step was settled; None if its job goes on, nothing if that failed."""
    if isinstance(result, VertexStepOperatorError):
        click.echo(f"{step}  was not settled: {result}", err=True)
        return ""
    if result is None:
        click.echo(
            f"{step}  goes on: `zenml-vertex jobs attach {step.run.id}` follows it, "
            "`zenml-vertex jobs cancel` ends it."
        )
    else:
        click.echo(f"{step}  {result}")
    return result
