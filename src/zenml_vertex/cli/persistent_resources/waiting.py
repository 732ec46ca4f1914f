"""Waiting for an operation on a resource, which Ctrl-C leaves alone."""

from typing import TYPE_CHECKING, Any

import click

from zenml_vertex.cli.signals import INTERRUPTED

if TYPE_CHECKING:
    from zenml_vertex.cloud.connection import Connection


def wait(connection: "Connection", operation: dict[str, Any], name: str, doing: str) -> None:
    """Wait until an operation is done, with its progress.

    Args:
        connection: Where it goes on.
        operation: The operation.
        name: Resource name of the resource.
        doing: What goes on, for people: "being created".

    Raises:
        VertexStepOperatorError: If it fails, or cannot be read any more.
    """
    from zenml_vertex.clock import SystemClock
    from zenml_vertex.resources.lifecycle import wait_for_operation

    resources = connection.persistent_resources
    try:
        wait_for_operation(resources, operation, SystemClock(), say=click.echo)
    except KeyboardInterrupt:
        click.echo(f"\n{name} goes on {doing}. Look again with: {command('show', name)}")
        raise SystemExit(INTERRUPTED) from None


def command(verb: str, name: str) -> str:
    """The command that does something with a resource."""
    from zenml_vertex.resources.resource import build_command

    return build_command(verb, name)
