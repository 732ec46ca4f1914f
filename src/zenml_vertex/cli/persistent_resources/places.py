"""Where persistent resources are: by default in the project and region of a step operator."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from zenml_vertex.cloud.connection import Connection
    from zenml_vertex.resources.resource import PersistentResource
    from zenml_vertex.resources.usage import Usage
    from zenml_vertex.steps.operator import VertexStepOperator

C = TypeVar("C", bound=Callable[..., Any])


def place_options(command: C) -> C:
    """Add the options that say where a resource is, but for the step operator's."""
    for option in (
        click.option("--project", metavar="PROJECT", help="In this project instead."),
        click.option("--region", metavar="REGION", help="In this region instead."),
    ):
        command = option(command)
    return command


output_option = click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", show_default=True,
    help="For people, or for programs.",
)  # fmt: skip
yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask.")
no_wait_option = click.option(
    "--no-wait", is_flag=True, help="Do not wait until Vertex AI has done it."
)


class ResourcePlaces:
    """Finds resources by what was typed.

    Args:
        step_operator: Name of the step operator; None for the active stack's.
        project: Another project than its own.
        region: Another region than its own.
    """

    def __init__(self, step_operator: str | None, project: str | None, region: str | None) -> None:
        from zenml_vertex.cli.step_operators import load_step_operator
        from zenml_vertex.job.identity import is_region

        if region and not is_region(region):
            raise click.BadParameter(f"`{region}` is not a region.", param_hint="--region")
        self.operator: VertexStepOperator = load_step_operator(step_operator)
        self._project, self._region = project, region
        self._connections: dict[tuple[str | None, str | None], Connection] = {}

    @property
    def own(self) -> "Connection":
        """The connection to where resources are that are named by their IDs."""
        return self._connect(self._project, self._region)

    def find(self, text: str) -> "tuple[Connection, str]":
        """The connection for a resource, and its resource name.

        Args:
            text: Its ID, or its resource name.

        Raises:
            VertexStepOperatorError: If it cannot be read as either, or Vertex AI cannot be reached.
        """
        from zenml_vertex.resources.resource import COLLECTION, parse_name

        if "/" in text:
            parent, _ = parse_name(text)
            _, project, _, region = parent.split("/")
            return self._connect(project, region), text
        # Before anything is asked for it, in whatever project.
        parse_name(f"projects/p/locations/l/{COLLECTION}/{text}")
        return self.own, f"{self.own.parent}/{COLLECTION}/{text}"

    def _connect(self, project: str | None, region: str | None) -> "Connection":
        key = project, region
        if key not in self._connections:
            self._connections[key] = self.operator.connect(project=project, region=region)
        return self._connections[key]


def read_one(connection: "Connection", name: str) -> "PersistentResource":
    """A resource as it is now.

    Raises:
        VertexStepOperatorError: If it does not exist, or cannot be read.
    """
    from zenml_vertex.errors import ResourceNotFound
    from zenml_vertex.resources.resource import parse_name, read_resource

    try:
        return read_resource(connection.persistent_resources.get(name))
    except ResourceNotFound as error:
        parent, resource_id = parse_name(name)
        raise ResourceNotFound(
            f"There is no persistent resource `{resource_id}` in {parent}. `zenml-vertex "
            "persistent-resource list` shows those that there are, in the project and region of "
            "the step operator.",
            code=error.code,
        ) from error


def read_usage(connection: "Connection", *resources: "PersistentResource") -> "list[Usage]":
    """Who uses resources of one project and region.

    Raises:
        VertexStepOperatorError: If jobs cannot be listed.
    """
    from zenml_vertex.resources.usage import find_oldest, find_usage

    if not resources:
        return []
    since = find_oldest(resources)
    named = connection.persistent_resources.list_jobs(connection.parent, since)
    return [find_usage(resource, named) for resource in resources]


@contextmanager
def nothing_logged(output: str) -> Iterator[None]:
    """Keep log lines out of an output for programs; ZenML writes them to the same stream."""
    if output != "json":
        yield
        return
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def ask(question: str, otherwise: str) -> None:
    """Ask, and end the command unless the answer is yes.

    Args:
        question: What to ask.
        otherwise: What has not been done then.
    """
    import sys

    try:
        click.confirm(question, abort=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        click.echo()
        raise click.ClickException(f"{otherwise} Where nobody can answer, add `--yes`.") from None
