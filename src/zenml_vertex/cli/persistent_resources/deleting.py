"""`zenml-vertex persistent-resource delete`."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from zenml_vertex.cli.jobs.places import errors, step_operator_option
from zenml_vertex.cli.persistent_resources.places import (
    ResourcePlaces,
    ask,
    no_wait_option,
    place_options,
    read_one,
    read_usage,
    yes_option,
)
from zenml_vertex.cli.persistent_resources.shown import describe, describe_idle, describe_usage
from zenml_vertex.cli.persistent_resources.waiting import command, wait
from zenml_vertex.clock import read_time

if TYPE_CHECKING:
    from zenml_vertex.cloud.connection import Connection
    from zenml_vertex.resources.usage import Usage

_DURATION = re.compile(r"(?P<number>\d{1,6}(?:\.\d{1,3})?)(?P<unit>s|m|min|h|d)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 24 * 3600}


def _read_duration(
    context: click.Context, option: click.Parameter, value: str | None
) -> float | None:
    """A duration such as `90m` or `2h`, in seconds."""
    if value is None:
        return None
    if match := _DURATION.fullmatch(value.strip()):
        return float(match["number"]) * _SECONDS[match["unit"]]
    text = f"`{value}` is not a duration: write, for example, 90m, 2h or 1d."
    raise click.BadParameter(text, context, option)


@click.command(short_help="Delete persistent resources, and cancel the jobs on them.")
@click.argument("resource", nargs=-1, metavar="[RESOURCE]...")
@click.option(
    "--idle", metavar="DURATION", callback=_read_duration,
    help="Every one without a job for that long, such as 90m, 2h or 1d.",
)  # fmt: skip
@no_wait_option
@yes_option
@place_options
@step_operator_option
def delete(
    *,
    resource: Sequence[str],
    idle: float | None,
    no_wait: bool,
    yes: bool,
    project: str | None,
    region: str | None,
    step_operator: str | None,
) -> None:
    """Delete persistent resources, after asking; Vertex AI cancels the jobs on them.

    With --idle, those of the project and region that are RUNNING and on which no job has been for
    that long, with the machine hours that they have cost meanwhile. How long that is, is told by
    the ends of the jobs that name them; deleted jobs, and what is not a custom job, leave no trace.
    """
    if bool(resource) == (idle is not None):
        raise click.UsageError("Name resources by their IDs, or idle ones with --idle DURATION.")
    with errors():
        places = ResourcePlaces(step_operator, project, region)
        if idle is None:
            found = [places.find(text) for text in dict.fromkeys(resource)]
            doomed = [(at, read_usage(at, read_one(at, name))[0], name) for at, name in found]
            _say_named([usage for _, usage, _ in doomed])
        else:
            doomed = _find_idle(places.own, idle)
        if not doomed:
            click.echo(f"No persistent resource in {places.own.parent} has been idle for so long.")
            return
        if not yes:
            ask(_phrase(len(doomed)), "Nothing was deleted.")
        is_done = [
            _delete(at, name, waits=not no_wait, if_idle=idle is not None) for at, _, name in doomed
        ]
    if not all(is_done):
        raise SystemExit(1)


def _say_named(usages: "Sequence[Usage]") -> None:
    for usage in usages:
        click.echo(describe(usage.resource))
        for line in describe_usage(usage, read_time()):
            click.echo(f"  {line}")
    if jobs := sum(len(usage.jobs) for usage in usages):
        click.echo(f"Vertex AI will cancel {jobs} job{'' if jobs == 1 else 's'} on it.")


def _find_idle(connection: "Connection", seconds: float) -> "list[tuple[Connection, Usage, str]]":
    """The resources that have been idle for so long, each said in a line."""
    from zenml_vertex.resources.resource import COLLECTION, read_resource

    listed = connection.persistent_resources.list(connection.parent)
    usages = read_usage(connection, *map(read_resource, listed))
    now = read_time()
    if usages and not usages[0].is_complete:
        raise click.ClickException(
            f"There are more jobs in {connection.parent} than are read here, so that it cannot be "
            "told which resources are idle. Delete them by their IDs."
        )
    found = []
    for usage in usages:
        since = usage.idle_seconds(now)
        if since is not None and since >= seconds:
            click.echo(f"{describe(usage.resource)}: {describe_idle(usage, now)}")
            name = f"{connection.parent}/{COLLECTION}/{usage.resource.resource_id}"
            found.append((connection, usage, name))
    return found


def _phrase(count: int) -> str:
    return f"Delete {count} persistent resource{'' if count == 1 else 's'}?"


def _delete(connection: "Connection", name: str, *, waits: bool, if_idle: bool) -> bool:
    """Delete a resource, and say so; whether that has worked."""
    from zenml_vertex.errors import ResourceNotFound, VertexStepOperatorError
    from zenml_vertex.resources.resource import read_resource

    resource_id = name.rpartition("/")[2]
    resources = connection.persistent_resources
    try:
        if if_idle and read_resource(resources.get(name)).used:
            click.echo(f"{resource_id}  kept: a job has come meanwhile")
            return True
        operation = resources.delete(name)
        if waits:
            wait(connection, operation, name, "being deleted")
    except ResourceNotFound:
        click.echo(f"{resource_id}  is gone already")
        return True
    except VertexStepOperatorError as error:
        click.echo(f"{resource_id}  not deleted: {error}", err=True)
        return False
    done = "deleted" if waits else f"is being deleted. Look again with: {command('show', name)}"
    click.echo(f"{resource_id}  {done}")
    return True
