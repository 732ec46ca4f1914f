"""`zenml-vertex persistent-resource`: machines that stay, for jobs that start at once."""

import click

from zenml_vertex.cli.group import Group

_COMMANDS = {
    "create": "zenml_vertex.cli.persistent_resources.creating:create",
    "delete": "zenml_vertex.cli.persistent_resources.deleting:delete",
    "list": "zenml_vertex.cli.persistent_resources.listing:list_resources",
    "reboot": "zenml_vertex.cli.persistent_resources.rebooting:reboot",
    "show": "zenml_vertex.cli.persistent_resources.showing:show",
}


@click.group(cls=Group, lazy=_COMMANDS, short_help="Keep machines warm: show, create and end them.")
def persistent_resource() -> None:
    """Create, show and end persistent resources of Vertex AI.

    Jobs start on one at once. It is billed as long as it is there, with or without jobs, and
    Vertex AI never ends one by itself.

    A resource is named by its ID, or by its whole name
    `projects/P/locations/L/persistentResources/ID`, which brings its own project and region.
    """
