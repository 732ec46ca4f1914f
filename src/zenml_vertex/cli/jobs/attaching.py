"""`zenml-vertex jobs attach`."""

from typing import TYPE_CHECKING

import click

from zenml_vertex.cli.jobs.ends import finish_runs
from zenml_vertex.cli.jobs.places import errors, step_operator_option
from zenml_vertex.cli.jobs.settling import check_choice, find_steps, force_option
from zenml_vertex.cli.signals import INTERRUPTED
from zenml_vertex.errors import VertexStepOperatorError
from zenml_vertex.following.metadata import JOB_NAME_KEY
from zenml_vertex.foreign_text import clean_line

if TYPE_CHECKING:
    from zenml_vertex.steps.attaching import Attachment
    from zenml_vertex.steps.open_steps import OpenStep
    from zenml_vertex.steps.operator import VertexStepOperator


@click.command(short_help="Follow jobs whose clients are gone, to their ends.")
@click.argument("run", required=False)
@click.option("--all", "all_runs", is_flag=True, help="Jobs of all pipeline runs.")
@force_option
@step_operator_option
def attach(*, run: str | None, all_runs: bool, force: bool, step_operator: str | None) -> None:
    """Follow what no client follows, and end each step as its client would have.

    RUN is the name or ID of a pipeline run. Steps whose client lives are left to it. Steps
    that have not been started are not: the pipeline run ends with the steps that have.
    Ctrl-C leaves the jobs as they are. Exit status: 0 if all steps have completed, or if there
    is nothing to attach to; 1 if a step has not completed.
    """
    check_choice(run, all_runs=all_runs, force=force)
    with errors():
        operator, steps = find_steps(run, step_operator, is_forced=force)
        if not steps:
            click.echo("There is nothing to attach to: no step is open that no client follows.")
            return

        from zenml_vertex.clock import SystemClock
        from zenml_vertex.steps.attaching import Attachment

        attachment = Attachment(operator, SystemClock())
        have_completed = True
        try:
            steps = _claim(attachment, steps)
            for step, result in attachment.follow(steps):
                if isinstance(result, VertexStepOperatorError):
                    click.echo(f"{step}  is not followed: {result}", err=True)
                else:
                    reason = "" if result == "completed" else _read_reason(operator, step)
                    click.echo(f"{step}  {result}{reason}")
                have_completed = have_completed and result == "completed"
        except KeyboardInterrupt:
            for step in attachment.leave():
                click.echo(
                    f"{step}  goes on. `zenml-vertex jobs attach {step.run.id}` follows it again, "
                    f"`zenml-vertex jobs cancel` ends it."
                )
            raise SystemExit(INTERRUPTED) from None
        runs = finish_runs({str(step.run.id) for step in steps}, is_forced=force)
    if not (have_completed and runs.are_told):
        raise SystemExit(1)


def _claim(attachment: "Attachment", steps: "list[OpenStep]") -> "list[OpenStep]":
    """Take steps over, and say so; without those that another process takes at this moment."""
    taken = []
    for step, winner in attachment.claim(steps):
        if winner:
            click.echo(f"{step}  left to {winner.process}, which has just attached to it")
            continue
        job = step.step_run.run_metadata.get(JOB_NAME_KEY)
        click.echo(f"{step}  taken over{f', job {clean_line(str(job))}' if job else ''}")
        taken.append(step)
    return taken


def _read_reason(operator: "VertexStepOperator", step: "OpenStep") -> str:
    """Why a step has not completed, as the ZenML server has it; nothing if it does not say."""
    try:
        raised = operator.step_runs.read_raised(step.step_run_id)
    except VertexStepOperatorError:
        return ""
    return f": {raised}." if raised else ""
