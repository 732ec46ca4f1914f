"""`zenml-vertex persistent-resource list`."""

import json

import click

from zenml_vertex.cli.jobs.places import errors, step_operator_option
from zenml_vertex.cli.persistent_resources.places import (
    ResourcePlaces,
    nothing_logged,
    output_option,
    place_options,
)
from zenml_vertex.cli.persistent_resources.shown import describe, to_json


@click.command(name="list")
@output_option
@place_options
@step_operator_option
def list_resources(
    *, output: str, project: str | None, region: str | None, step_operator: str | None
) -> None:
    """List the persistent resources of a project and region."""
    with errors(), nothing_logged(output):
        from zenml_vertex.resources.resource import read_resource

        connection = ResourcePlaces(step_operator, project, region).own
        listed = connection.persistent_resources.list(connection.parent)
    resources = [read_resource(content) for content in listed]
    if output == "json":
        click.echo(json.dumps([to_json(resource) for resource in resources], indent=2))
        return
    for resource in resources:
        click.echo(describe(resource))
    if not resources:
        click.echo(f"No persistent resources in {connection.parent}.")
