"""`zenml-vertex jobs settle`."""

from typing import TYPE_CHECKING

import click

from zenml_vertex.cli.jobs.ends import finish_left_runs, finish_runs
from zenml_vertex.cli.jobs.places import errors, step_operator_option
from zenml_vertex.clock import read_time
from zenml_vertex.errors import VertexStepOperatorError

if TYPE_CHECKING:
    from zenml_vertex.steps.open_steps import OpenStep
    from zenml_vertex.steps.operator import VertexStepOperator


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

    A pipeline run whose steps have all ended is ended too, if its client is gone. RUN is the
    name or ID of a pipeline run. A job that goes on is left as it is. Waits for nothing but
    jobs that may not be listed yet, because their clients were killed while they created them:
    one minute for all of them.
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
    found = []
    left = 0
    for step in iter_open(operator.flavor, find_run(run) if run else None):
        if not step.is_awaited:
            found.append(step)
        elif run:
            who = step.following.describe(read_time())
            click.echo(f"{step}  followed by {who}{'; overridden' if is_forced else ''}")
            if is_forced:
                found.append(step)
            left += not is_forced
    if left:
        click.echo("If you know that it is gone, add `--force`.", err=True)
    return operator, found


def _announce(number: int) -> None:
    click.echo(
        f"{number} {'step has' if number == 1 else 'steps have'} no job that is listed. Looking "
        "again in a minute: a job that was just created is listed late.",
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
