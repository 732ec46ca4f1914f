"""Where jobs are looked for: projects and regions, and a connection to each."""

import itertools
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from zenml_vertex.clock import read_time
from zenml_vertex.errors import InvalidJobName, VertexStepOperatorError

if TYPE_CHECKING:
    from zenml_vertex.cloud.connection import Connection
    from zenml_vertex.following.orphans import InspectedJob, OrphanSecret
    from zenml_vertex.job.request import JobJson
    from zenml_vertex.steps.operator import VertexStepOperator

C = TypeVar("C", bound=Callable[..., Any])

step_operator_option = click.option(
    "--step-operator", metavar="NAME",
    help="Which step operator's credentials, project and region. [default: the active stack's]",
)  # fmt: skip


def where_options(command: C) -> C:
    """Add the options that say where to look."""
    for option in (
        step_operator_option,
        click.option("--all-regions", is_flag=True, help="Look in every region of this version."),
        click.option("--project", metavar="PROJECT", help="Look in this project instead."),
        click.option(
            "--region", "regions", metavar="REGION", multiple=True,
            help="Look in this region, and not in others; may be repeated.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Where:
    """What the options say."""

    step_operator: str | None = None
    regions: tuple[str, ...] = ()
    project: str | None = None
    all_regions: bool = False


class Places:
    """The projects and regions in which a command looks.

    Args:
        where: What the options say.
        names: Resource names of jobs, which bring their own project and region.
    """

    def __init__(self, where: Where, names: Iterable[str] = ()) -> None:
        from zenml_vertex.cli.step_operators import load_step_operator

        self.operator: VertexStepOperator = load_step_operator(where.step_operator)
        self._own = ""
        with _acting_said_once():
            self.connections = list(self._connect(where, names))

    @property
    def described(self) -> str:
        """The places, for people."""
        return _describe_parents(sorted({connection.parent for connection in self.connections}))

    def name_other(self, connection: "Connection") -> str:
        """The project and region of a job; nothing if they are the step operator's."""
        return "" if connection.parent == self._own else connection.parent

    def inspect(self) -> "Sequence[tuple[Connection, InspectedJob]]":
        """The live jobs of this ZenML server, each once, with who follows it.

        A place that cannot be asked is named, and the others count; if it is the only one,
        that is an error.
        """
        from zenml_vertex.following.orphans import inspect_job, list_live_jobs, name_step_runs

        step_runs = self.operator.step_runs
        found: dict[str, tuple[Connection, JobJson]] = {}
        with said_if_slow(f"Looking for jobs in {self.described} ..."):
            for connection in self.connections:
                with self._tolerated(connection.parent):
                    parent = connection.parent
                    for job in list_live_jobs(connection.jobs, parent, step_runs.server_id):
                        # Names have the project's number, however it is asked for.
                        found.setdefault(str(job["name"]), (connection, job))
            now = read_time()
            records = step_runs.find_many(name_step_runs(job for _, job in found.values()))
        return [
            (connection, inspect_job(job, records.get, now)) for connection, job in found.values()
        ]

    def find_orphan_secrets(self) -> "Sequence[tuple[Connection, OrphanSecret]]":
        """The secrets that nobody reads; none if they cannot be listed.

        Who does not use them needs no permission for them, and without them there are still
        jobs.
        """
        from zenml_vertex.following.orphans import find_orphan_secrets

        found: dict[str, list[tuple[Connection, OrphanSecret]]] = {}
        for connection in self.connections:
            project = connection.identity.project
            if project in found:
                continue
            found[project] = []
            try:
                listed = connection.secrets.list(project)
            except VertexStepOperatorError as error:
                click.echo(f"Secrets could not be listed: {error}", err=True)
                continue
            server_id, now = self.operator.step_runs.server_id, read_time()
            orphans = find_orphan_secrets(
                listed, self.operator.step_runs, project=project, server_id=server_id, now=now
            )
            found[project] = [(connection, orphan) for orphan in orphans]
        return [pair for pairs in found.values() for pair in pairs]

    def _connect(self, where: Where, names: Iterable[str]) -> "Iterator[Connection]":
        from zenml_vertex.job.identity import JobName, is_region
        from zenml_vertex.job.machines import load_catalogue

        for region in where.regions:
            if not is_region(region):
                raise click.BadParameter(f"`{region}` is not a region.", param_hint="--region")
        own = self.operator.connect(project=where.project)
        self._own = own.parent
        if where.all_regions or where.regions:
            regions = load_catalogue().regions if where.all_regions else where.regions
            parents = {f"projects/{own.identity.project}/locations/{name}" for name in regions}
        else:
            yield own
            parents = set()
            if not where.project:
                parents = self._find_parents(own.parent)
        for name in names:
            try:
                parents.add(JobName.parse(name).parent)
            except InvalidJobName:
                continue
        if own.parent in parents and (where.all_regions or where.regions):
            yield own
        for parent in sorted(parents - {own.parent}):
            _, project, _, region = parent.split("/")
            with self._tolerated(parent):
                yield self.operator.connect(project=project, region=region)

    def _find_parents(self, own: str) -> set[str]:
        """Where step runs have their jobs; places that are left out are named."""
        from zenml_vertex.steps.job_places import MOST_PLACES, find_job_places

        found = find_job_places(self.operator, own)
        for parents, reason in (
            (found.unnamed, "their projects are in no settings of a step or step operator"),
            (found.surplus, f"one command looks in {MOST_PLACES} places beside its own"),
        ):
            if parents:
                _, project, _, region = parents[0].split("/")
                click.echo(
                    f"Not looked in {_describe_parents(parents)}, which step runs name: {reason}. "
                    f"`--project {project} --region {region}` looks in the first.",
                    err=True,
                )
        return {*found.trusted}

    @contextmanager
    def _tolerated(self, parent: str) -> Iterator[None]:
        try:
            yield
        except VertexStepOperatorError as error:
            if len(getattr(self, "connections", ())) == 1:
                raise
            click.echo(f"Jobs in {parent} could not be listed: {error}", err=True)


@contextmanager
def said_if_slow(text: str, seconds: float = 2.0) -> Iterator[None]:
    """Say what takes so long, if it does."""
    timer = threading.Timer(seconds, click.echo, (text,), {"err": True})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def _acting_said_once() -> Iterator[None]:
    """Have who acts said for the first of many connections only: it is the same for all."""
    log = logging.getLogger("zenml_vertex.cloud.connection")
    said = itertools.count()

    def is_first(record: logging.LogRecord) -> bool:
        return record.levelno > logging.INFO or next(said) == 0

    log.addFilter(is_first)
    try:
        yield
    finally:
        log.removeFilter(is_first)


def _describe_parents(parents: Sequence[str]) -> str:
    most = 4
    more = f" and {len(parents) - most} more places" if len(parents) > most else ""
    return ", ".join(parents[:most]) + more


@contextmanager
def errors() -> Iterator[None]:
    """Show an error of this package as a line."""
    try:
        yield
    except VertexStepOperatorError as error:
        raise click.ClickException(str(error)) from error
