"""`zenml-vertex persistent-resource reboot`."""

import click

from zenml_vertex.cli.jobs.places import errors, step_operator_option
from zenml_vertex.cli.persistent_resources.places import (
    ResourcePlaces,
    ask,
    no_wait_option,
    place_options,
    read_one,
    yes_option,
)
from zenml_vertex.cli.persistent_resources.shown import describe
from zenml_vertex.cli.persistent_resources.waiting import command, wait


@click.command(short_help="Reboot a persistent resource that has no jobs.")
@click.argument("resource")
@no_wait_option
@yes_option
@place_options
@step_operator_option
def reboot(
    *,
    resource: str,
    no_wait: bool,
    yes: bool,
    project: str | None,
    region: str | None,
    step_operator: str | None,
) -> None:
    """Reboot a persistent resource, after asking: it gets new machines.

    Vertex AI reboots a resource that is RUNNING or in ERROR, and only without jobs. Scarce
    machines may be gone afterwards, and a pool that scales begins with its least number.
    """
    with errors():
        connection, name = ResourcePlaces(step_operator, project, region).find(resource)
        found = read_one(connection, name)
        click.echo(describe(found))
        if not yes:
            ask("Reboot it?", "Nothing was rebooted.")
        operation = connection.persistent_resources.reboot(name)
        if no_wait:
            click.echo(f"{name} is being rebooted. Look again with: {command('show', name)}")
            return
        wait(connection, operation, name, "being rebooted")
        click.echo(describe(read_one(connection, name)))
