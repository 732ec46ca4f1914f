"""`zenml-vertex persistent-resource show`."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from zenml_vertex.cli.jobs.places import errors, step_operator_option
from zenml_vertex.cli.persistent_resources.places import (
    ResourcePlaces,
    nothing_logged,
    output_option,
    place_options,
    read_one,
    read_usage,
)
from zenml_vertex.cli.persistent_resources.shown import describe, describe_usage, to_json
from zenml_vertex.clock import read_time

if TYPE_CHECKING:
    from zenml_vertex.resources.resource import PersistentResource


@click.command(short_help="Show a persistent resource, and who uses it.")
@click.argument("resource")
@output_option
@place_options
@step_operator_option
def show(
    *,
    resource: str,
    output: str,
    project: str | None,
    region: str | None,
    step_operator: str | None,
) -> None:
    """Show a persistent resource: its state, its machines, who uses it, how long nobody has.

    How long it has been idle is told by the ends of the jobs that name it.
    """
    with errors(), nothing_logged(output):
        connection, name = ResourcePlaces(step_operator, project, region).find(resource)
        found = read_one(connection, name)
        (usage,) = read_usage(connection, found)
    if output == "json":
        click.echo(json.dumps(to_json(found, usage), indent=2))
        return
    click.echo(describe(found))
    for line in (*_describe_rules(found), *describe_usage(usage, read_time())):
        click.echo(f"  {line}")


def _describe_rules(resource: "PersistentResource") -> Iterator[str]:
    """What a job on it has to have, as lines."""
    from zenml_vertex.foreign_text import clean_line

    for pool in resource.pools:
        disk = pool.disk
        yield (
            f"Pool {clean_line(pool.pool_id, 100)}: {pool}, disk "
            f"{clean_line(str(disk.get('bootDiskType', '?')), 100)} of "
            f"{disk.get('bootDiskSizeGb', '?')} GB, {pool.used} in use"
        )
    content: Any = resource.content
    network, key = content.get("network"), (content.get("encryptionSpec") or {}).get("kmsKeyName")
    if network:
        yield f"Network: {clean_line(str(network))}"
    if content.get("pscInterfaceConfig"):
        yield f"Private Service Connect: {clean_line(json.dumps(content['pscInterfaceConfig']))}"
    if key:
        yield f"Key: {clean_line(str(key))}"
    must = "must name" if resource.has_custom_account else "must not name"
    yield f"Service account: jobs on it {must} one of their own"
