"""`zenml-vertex jobs cancel`."""

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from zenml_vertex.cli.jobs.ends import finish_runs
from zenml_vertex.cli.jobs.places import Places, Where, errors, where_options
from zenml_vertex.cli.jobs.shown import (
    describe,
    describe_age,
    describe_secret,
    read_id,
    read_step,
)
from zenml_vertex.errors import (
    InvalidJobName,
    JobNotFound,
    RequestRejected,
    VertexStepOperatorError,
)

if TYPE_CHECKING:
    from zenml_vertex.cloud.connection import Connection
    from zenml_vertex.following.orphans import InspectedJob
    from zenml_vertex.job.request import JobJson
    from zenml_vertex.job.secrets import SecretName


@click.command(short_help="Cancel jobs, and wait until they have ended.")
@click.argument("job", nargs=-1, metavar="[JOB]...")
@click.option("--orphans", is_flag=True, help="Every orphan.")
@click.option(
    "--detached", is_flag=True, help="With --orphans: jobs of clients that detached, too."
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@where_options
def cancel(
    *,
    job: Sequence[str],
    orphans: bool,
    detached: bool,
    yes: bool,
    regions: tuple[str, ...],
    project: str | None,
    all_regions: bool,
    step_operator: str | None,
) -> None:
    """Cancel jobs, after asking, wait until they have ended, and destroy their secrets.

    JOB is a job's ID, or its whole name `projects/P/locations/L/customJobs/ID`. The secret of
    a job that may still be running is kept.
    """
    if bool(job) == orphans:
        raise click.UsageError("Name jobs by their IDs, or all of them with --orphans.")
    if detached and not orphans:
        raise click.UsageError("--detached goes with --orphans.")
    with errors():
        places = Places(Where(step_operator, regions, project, all_regions), job)
        inspected = places.inspect()
        chosen = [
            (at, listed)
            for at, listed in inspected
            if (
                listed.reason or (detached and listed.is_left)
                if orphans
                else _find_names(listed.job, at) & {*job}
            )
        ]
        missing = {*job}.difference(*(_find_names(listed.job, at) for at, listed in chosen))
        if missing:
            said = [_explain_missing(places, name) for name in sorted(missing)]
            raise click.ClickException("\n".join([*said, "No job was cancelled."]))
        secrets = places.find_orphan_secrets() if orphans else ()
        _tell_left(inspected if orphans and not detached else ())
        if not chosen and not secrets:
            click.echo(f"No orphans in {places.described}.")
            return
        for at, listed in chosen:
            click.echo(describe(listed, place=places.name_other(at)))
        for _, orphan in secrets:
            click.echo(describe_secret(orphan))
        read_by = {
            listed.name: (at, secret)
            for at, listed in chosen
            if (secret := _find_secret(listed.job, at.identity.project))
        }
        doomed = {secret: at for at, secret in read_by.values()}
        doomed.update({orphan.name: at for at, orphan in secrets})
        if not yes:
            _ask(_phrase_question(len(chosen), len(doomed)))
        cancels = {listed.name: _Cancel(places, at, listed) for at, listed in chosen}
        ended = {name: cancel.run() for name, cancel in cancels.items()}
        kept = {secret for name, (_, secret) in read_by.items() if not ended[name]}
        are_gone = [
            _destroy(doomed[secret], secret) for secret in sorted({*doomed} - kept, key=str)
        ]
        for secret in sorted(kept, key=str):
            click.echo(_describe_kept(secret))
        # Last: the ZenML server has had a minute to come back.
        are_told = [cancel.tell_step() for cancel in cancels.values()]
        runs = finish_runs(
            listed.record.run_id
            for _, listed in chosen
            if ended[listed.name] and listed.record and not listed.is_awaited
        )
    if not all([*ended.values(), *are_gone, *are_told, runs.are_told]):
        raise SystemExit(1)


def _tell_left(inspected: "Sequence[tuple[Connection, InspectedJob]]") -> None:
    """Say how many jobs are left because their clients seem to have detached."""
    left = sum(listed.is_left for _, listed in inspected)
    if left:
        are = "is left: `--detached` adds it" if left == 1 else "are left: `--detached` adds them"
        click.echo(f"{_count(left, 'job')} of clients that detached {are}.")


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


class _Cancel:
    """The cancel of a job, and what its step run is told.

    Args:
        places: Where jobs are looked for.
        connection: Where the job is.
        inspected: The job.
    """

    def __init__(self, places: Places, connection: "Connection", inspected: "InspectedJob") -> None:
        from zenml_vertex.job.identity import JobName

        self._step_runs = places.operator.step_runs
        self._connection = connection
        self._inspected = inspected
        self._name = JobName.parse(inspected.name).created_in(connection.parent)
        # Whether the step run is to be stopped: no client will end it.
        self._is_untold = False

    def run(self) -> bool:
        """Cancel it, and say in which state it has ended; False if it may still be running.

        A step run that no client will end is stopped as soon as the cancel is accepted: the
        job takes a minute to end.
        """
        from zenml_vertex.clock import SystemClock
        from zenml_vertex.following.ending import cancel_and_verify
        from zenml_vertex.following.progress import StepLog
        from zenml_vertex.job.states import short_name

        name, jobs = self._name, self._connection.jobs
        log = StepLog(read_step(self._inspected.job)).of(name)
        state = cancel_and_verify(jobs, log, SystemClock(), on_accepted=self._stop_step)
        shown = short_name(state) if state else "may still be running: see above"
        click.echo(f"{name.job_id}  {shown}")
        return state is not None

    def tell_step(self) -> bool:
        """Stop the step run if that has failed before; whether it needs nothing more."""
        if self._is_untold:
            try:
                self._stop_step()
            except VertexStepOperatorError as error:
                click.echo(
                    f"{self._name.job_id}  its step run was not stopped: {error} When the server "
                    f"answers, `zenml-vertex jobs settle {self._find_run_id()}` ends it.",
                    err=True,
                )
        return not self._is_untold

    def _stop_step(self) -> None:
        from zenml_vertex.steps.open_steps import stop

        inspected = self._inspected
        if inspected.is_open and not inspected.is_awaited:
            self._is_untold = True
            message = f"Job {self._name} was cancelled with `zenml-vertex jobs cancel`."
            stop(self._step_runs, inspected.step_run_id, message)
            self._is_untold = False

    def _find_run_id(self) -> str:
        record = self._inspected.record
        return record.run_id if record else "--all"


def _explain_missing(places: Places, job_id: str) -> str:
    """Why a job cannot be cancelled here, in one line."""
    from zenml_vertex.job.identity import JobName
    from zenml_vertex.job.states import interpret, short_name
    from zenml_vertex.job.times import JobTimes

    where = f"in {places.described}"
    if "/" in job_id:
        try:
            parent = JobName.parse(job_id).parent
        except InvalidJobName as error:
            return str(error)
        where = f"in {parent}"
    found = None
    for connection in places.connections:
        name = job_id if "/" in job_id else f"{connection.parent}/customJobs/{job_id}"
        if not name.startswith(f"{connection.parent}/"):
            continue
        try:
            found = connection.jobs.get(name)
        except (JobNotFound, RequestRejected):
            continue
        where = f"in {connection.parent}"
        break
    job_id = job_id.rpartition("/")[2]
    if found is None:
        return f"There is no job {job_id} {where}."
    if not interpret(found["state"]).is_terminal:
        return (
            f"Job {job_id} {where} is {short_name(found['state'])} and not of this ZenML server. "
            f"To cancel it all the same, run: {_build_cancel_command(connection, job_id)}"
        )
    ended = JobTimes.read(found).ended
    since = f" {describe_age(ended)}, at {ended:%Y-%m-%d %H:%M:%S %Z}" if ended else ""
    return f"Job {job_id} {where} has ended as {short_name(found['state'])}{since}."


def _build_cancel_command(connection: "Connection", job_id: str) -> str:
    project, region = connection.identity.project, connection.region
    return shlex.join(
        ["gcloud", "ai", "custom-jobs", "cancel", job_id,
         f"--project={project}", f"--region={region}"]
    )  # fmt: skip


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


def _find_secret(job: "JobJson", project: str) -> "SecretName | None":
    """The secret that a job reads, told by its step and not by what a label says."""
    from zenml_vertex.job.identity import SECRET_LABEL, Attempt
    from zenml_vertex.job.secrets import SecretName

    labels = job.get("labels", {})
    attempt = Attempt.read(labels) if SECRET_LABEL in labels else None
    return SecretName.of(project, attempt) if attempt else None


def _find_names(job: "JobJson", connection: "Connection") -> set[str]:
    """What a job can be called: its ID, or its whole name with the project's number or ID.

    Not the end of any name: one of another project or region is another job's.
    """
    job_id = read_id(job)
    return {job_id, str(job["name"]), f"{connection.parent}/customJobs/{job_id}"}
