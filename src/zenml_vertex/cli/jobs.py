"""`zenml-vertex jobs`: the jobs of this ZenML server, and its orphans."""

import shlex
import sys
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import click

from zenml_vertex.cli.group import Group
from zenml_vertex.errors import JobNotFound, RequestRejected, VertexStepOperatorError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zenml_vertex.cloud.connection import Connection
    from zenml_vertex.following.orphans import Orphan, OrphanSecret
    from zenml_vertex.job.request import JobJson
    from zenml_vertex.job.secrets import SecretName
    from zenml_vertex.steps.operator import VertexStepOperator

_step_operator_option = click.option(
    "--step-operator", metavar="NAME",
    help="Which step operator's project and region. [default: the active stack's]",
)  # fmt: skip


@click.group(cls=Group)
def jobs() -> None:
    """Show and cancel Vertex AI jobs of this ZenML server.

    An orphan is a job that is still running although its step run or its pipeline run has
    finished, was stopped or does not exist any more: what a killed client leaves behind. So
    is a secret of such a step run (`environment_secrets`).
    """


@jobs.command(name="list")
@click.option("--orphans", is_flag=True, help="Only orphans.")
@_step_operator_option
def list_jobs(*, orphans: bool, step_operator: str | None) -> None:
    """List the active jobs."""
    with _errors():
        from zenml_vertex.cli.step_operators import load_step_operator

        operator = load_step_operator(step_operator)
        connection, live = _list_live_jobs(operator)
        found = _find_orphans(operator, live)
        secrets = _find_orphan_secrets(operator, connection) if orphans else ()
    reasons = {str(orphan.name): orphan.reason for orphan in found}
    shown = [job for job in live if not orphans or job["name"] in reasons]
    for job in shown:
        click.echo(_describe(job, reasons.get(job["name"])))
    for secret in secrets:
        click.echo(_describe_secret(secret))
    if not shown and not secrets:
        click.echo(f"No {'orphans' if orphans else 'active jobs'} in {connection.parent}.")
    elif reasons or secrets:
        click.echo("`zenml-vertex jobs cancel --orphans` ends the orphans.")


@jobs.command(short_help="Cancel jobs, and wait until they have ended.")
@click.argument("job", nargs=-1, metavar="[JOB_ID]...")
@click.option("--orphans", is_flag=True, help="Every orphan.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@_step_operator_option
def cancel(*, job: Sequence[str], orphans: bool, yes: bool, step_operator: str | None) -> None:
    """Cancel jobs, after asking, wait until they have ended, and destroy their secrets.

    The secret of a job that may still be running is kept.
    """
    if bool(job) == orphans:
        raise click.UsageError("Name jobs by their IDs, or all of them with --orphans.")
    with _errors():
        from zenml_vertex.cli.step_operators import load_step_operator

        operator = load_step_operator(step_operator)
        connection, live = _list_live_jobs(operator)
        found = {str(orphan.name): orphan.reason for orphan in _find_orphans(operator, live)}
        chosen = [
            listed
            for listed in live
            if (listed["name"] in found if orphans else _find_names(listed, connection) & {*job})
        ]
        missing = {*job}.difference(*(_find_names(listed, connection) for listed in chosen))
        if missing:
            said = [_explain_missing(connection, job_id) for job_id in sorted(missing)]
            raise click.ClickException("\n".join([*said, "No job was cancelled."]))
        secrets = _find_orphan_secrets(operator, connection) if orphans else ()
        if not chosen and not secrets:
            click.echo(f"No orphans in {connection.parent}.")
            return
        for listed in chosen:
            click.echo(_describe(listed, found.get(listed["name"])))
        for orphan in secrets:
            click.echo(_describe_secret(orphan))
        read_by = _find_secrets(chosen, connection.identity.project)
        doomed = {*read_by.values(), *(orphan.name for orphan in secrets)}
        if not yes:
            _ask(_phrase_question(len(chosen), len(doomed)))
        ended = {listed["name"]: _cancel_and_wait(connection, listed) for listed in chosen}
        kept = {secret for name, secret in read_by.items() if not ended[name]}
        are_gone = [_destroy(connection, secret) for secret in sorted(doomed - kept, key=str)]
        for secret in sorted(kept, key=str):
            click.echo(_describe_kept(secret))
    if not all([*ended.values(), *are_gone]):
        raise SystemExit(1)


def _ask(question: str) -> None:
    try:
        click.confirm(question, abort=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        click.echo()
        raise click.ClickException(
            "Nothing was cancelled. Where nobody can answer, add `--yes`."
        ) from None


def _cancel_and_wait(connection: "Connection", job: "JobJson") -> bool:
    """Cancel a job, and say in which state it has ended; False if it may still be running."""
    from zenml_vertex.clock import SystemClock
    from zenml_vertex.following.ending import cancel_and_verify
    from zenml_vertex.following.progress import StepLog
    from zenml_vertex.job.identity import JobName
    from zenml_vertex.job.states import short_name

    name = JobName.parse(job["name"]).created_in(connection.parent)
    log = StepLog(_read_step(job)).of(name)
    state = cancel_and_verify(connection.jobs, log, SystemClock())
    click.echo(
        f"{name.job_id}  {short_name(state) if state else 'may still be running: see above'}"
    )
    return state is not None


def _explain_missing(connection: "Connection", job_id: str) -> str:
    """Why a job cannot be cancelled here, in one line."""
    from zenml_vertex.job.states import interpret, short_name
    from zenml_vertex.job.times import JobTimes

    where = f"in {connection.parent}"
    if "/" in job_id:
        # A whole name: it may be one of another project.
        return f"{job_id} is not the name of an active job {where}."
    try:
        found = connection.jobs.get(f"{connection.parent}/customJobs/{job_id}")
    except (JobNotFound, RequestRejected):
        return f"There is no job {job_id} {where}."
    if not interpret(found["state"]).is_terminal:
        return (
            f"Job {job_id} {where} is {short_name(found['state'])} and not of this ZenML server. "
            f"To cancel it all the same, run: {_build_cancel_command(connection, job_id)}"
        )
    ended = JobTimes.read(found).ended
    since = f" {_describe_age(ended)}, at {ended:%Y-%m-%d %H:%M:%S %Z}" if ended else ""
    return f"Job {job_id} {where} has ended as {short_name(found['state'])}{since}."


def _build_cancel_command(connection: "Connection", job_id: str) -> str:
    project, region = connection.identity.project, connection.region
    return shlex.join(
        ["gcloud", "ai", "custom-jobs", "cancel", job_id,
         f"--project={project}", f"--region={region}"]
    )  # fmt: skip


def _describe_age(time: datetime) -> str:
    from zenml_vertex.job.times import format_duration

    return f"{format_duration((datetime.now(timezone.utc) - time).total_seconds())} ago"


def _list_live_jobs(operator: "VertexStepOperator") -> "tuple[Connection, Sequence[JobJson]]":
    from zenml_vertex.following.orphans import list_live_jobs

    connection = operator.connect()
    server_id = operator.step_runs.server_id
    return connection, list_live_jobs(connection.jobs, connection.parent, server_id)


def _find_orphans(operator: "VertexStepOperator", live: "Iterable[JobJson]") -> "Sequence[Orphan]":
    from zenml_vertex.following.orphans import find_orphans

    return list(find_orphans(live, operator.step_runs, datetime.now(timezone.utc)))


def _find_orphan_secrets(
    operator: "VertexStepOperator", connection: "Connection"
) -> "Sequence[OrphanSecret]":
    """The secrets that nobody reads; none if they cannot be listed.

    Who does not use them needs no permission for them, and without them there are still jobs.
    """
    from zenml_vertex.following.orphans import find_orphan_secrets

    project = connection.identity.project
    try:
        listed = connection.secrets.list(project)
    except VertexStepOperatorError as error:
        click.echo(f"Secrets could not be listed: {error}", err=True)
        return ()
    return list(
        find_orphan_secrets(
            listed,
            operator.step_runs,
            project=project,
            server_id=operator.step_runs.server_id,
            now=datetime.now(timezone.utc),
        )
    )


def _find_secrets(jobs: "Iterable[JobJson]", project: str) -> "dict[str, SecretName]":
    """Name of a job -> the secret that it reads, told by its step and not by what a label says."""
    from zenml_vertex.job.identity import SECRET_LABEL, Attempt
    from zenml_vertex.job.secrets import SecretName

    found = {}
    for job in jobs:
        labels = job.get("labels", {})
        if SECRET_LABEL in labels and (attempt := Attempt.read(labels)):
            found[job["name"]] = SecretName.of(project, attempt)
    return found


def _destroy(connection: "Connection", name: "SecretName") -> bool:
    try:
        connection.secrets.delete(str(name))
    except VertexStepOperatorError as error:
        click.echo(
            f"{name.secret_id}  was not destroyed: {error} Destroy it with: {name.delete_command}"
        )
        return False
    click.echo(f"{name.secret_id}  destroyed")
    return True


def _describe_kept(name: "SecretName") -> str:
    return (
        f"{name.secret_id}  is kept, because its job may still read it. When the job has ended, "
        f"destroy it with: {name.delete_command}"
    )


def _phrase_question(jobs: int, secrets: int) -> str:
    """What is asked before jobs are cancelled and secrets destroyed."""
    actions = []
    if jobs:
        actions.append(f"cancel {_count(jobs, 'job')}")
    if secrets:
        actions.append(f"destroy {_count(secrets, 'secret')}")
    return f"{' and '.join(actions).capitalize()}?"


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def _find_names(job: "JobJson", connection: "Connection") -> set[str]:
    """What a job can be called: its ID, or its whole name with the project's number or ID.

    Not the end of any name: one of another project or region is another job's.
    """
    job_id = _read_id(job)
    return {job_id, str(job["name"]), f"{connection.parent}/customJobs/{job_id}"}


def _read_id(job: "JobJson") -> str:
    return str(job["name"]).rsplit("/", 1)[-1]


def _read_step(job: "JobJson") -> str:
    from zenml_vertex.job.identity import STEP_LABEL

    return str(job.get("labels", {}).get(STEP_LABEL, "?"))


def _describe(job: "JobJson", reason: str | None) -> str:
    from zenml_vertex.job.identity import PIPELINE_LABEL, RUN_LABEL
    from zenml_vertex.job.states import short_name
    from zenml_vertex.job.times import JobTimes

    labels = job.get("labels", {})
    created = JobTimes.read(job).created
    return (
        f"{_read_id(job)}  {short_name(job['state']):<10}  "
        f"step `{_read_step(job)}` of pipeline `{labels.get(PIPELINE_LABEL, '?')}`, "
        f"run {labels.get(RUN_LABEL, '?')}"
        + (f", created {_describe_age(created)}" if created else "")
        + (f"  orphan: {reason}" if reason else "")
    )


def _describe_secret(secret: "OrphanSecret") -> str:
    return f"{secret.name.secret_id}  secret of step `{secret.step}`  orphan: {secret.reason}"


@contextmanager
def _errors() -> "Iterator[None]":
    try:
        yield
    except VertexStepOperatorError as error:
        raise click.ClickException(str(error)) from error
