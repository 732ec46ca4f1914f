"""`zenml-vertex flavor`: who owns the flavor name `vertex` on the ZenML server."""

from typing import TYPE_CHECKING

import click

from zenml_vertex import __version__
from zenml_vertex.cli.group import Group
from zenml_vertex.installation import (
    has_init_hook,
    install_command,
    reinstall_command,
    uninstall_command,
)
from zenml_vertex_init_hook import DISABLE_VARIABLE, is_disabled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zenml.models import ComponentResponse

    from zenml_vertex.ownership.record import FlavorRecord, Owner


@click.group(cls=Group, short_help="Show or change who owns the flavor name `vertex`.")
def flavor() -> None:
    """Show or change which package the ZenML server's record of `vertex` names.

    Where this package is installed, it is the flavor whatever the record says. The
    record matters to all other users of the server: see
    docs/how-to/own-the-name-vertex.md.
    """


@flavor.command(short_help="Show who owns the record, and what to do next.")
def status() -> None:
    """Show who owns the record, what this environment uses, and what to do next.

    Also how the package is removed, and what that would do. Nothing is changed.
    """
    from zenml_vertex.errors import FlavorOwnershipError
    from zenml_vertex.ownership.record import list_components, read_record
    from zenml_vertex.steps.server import describe_server

    try:
        record = read_record()
        components = list_components()
    except FlavorOwnershipError as error:
        raise click.ClickException(str(error)) from error
    source = f" ({record.source})" if record.source else ""
    rows = {
        "Record": f"{record.owner.value}{source}, on {describe_server()}",
        "Here": _describe_here(record.owner),
        "Used by": f"{len(components)} step operator{'' if len(components) == 1 else 's'}",
        "Removal": _describe_removal(record.owner, components),
        "Next": _describe_next(record),
    }
    for name, text in rows.items():
        click.echo(f"{name:<8} {text}")


@flavor.command(short_help="Make the server's record name this package.")
def install() -> None:
    """Make the server's record name this package, for all of the server's users.

    Repeat it after an upgrade of the ZenML server, which writes its own record again,
    and after an upgrade of this package.
    """
    from zenml_vertex.errors import FlavorOwnershipError
    from zenml_vertex.ownership.record import install_record
    from zenml_vertex.steps.server import describe_server

    try:
        changed = install_record()
        done = "now names" if changed else "already names"
        click.echo(
            f"The flavor `vertex` on {describe_server()} {done} zenml-vertex {__version__}. "
            "Everyone who uses it needs the package and its extra `client`, which this installs "
            f"here: {install_command('client')}"
        )
    except FlavorOwnershipError as error:
        raise click.ClickException(str(error)) from error


@flavor.command()
def restore() -> None:
    """Give the server's record back to ZenML's built-in flavor."""
    from zenml_vertex.errors import FlavorOwnershipError
    from zenml_vertex.ownership.record import restore_record
    from zenml_vertex.steps.server import describe_server

    try:
        changed = restore_record()
        done = "is ZenML's built-in one again" if changed else "is ZenML's built-in one already"
        click.echo(f"The flavor `vertex` on {describe_server()} {done}.")
    except FlavorOwnershipError as error:
        raise click.ClickException(str(error)) from error
    if not is_disabled():
        click.echo(
            "In environments that have zenml-vertex, `vertex` is still zenml-vertex. Uninstall "
            f"it, or set {DISABLE_VARIABLE}=1."
        )


def _describe_here(owner: "Owner") -> str:
    from zenml_vertex.ownership.record import Owner

    if owner is Owner.ZENML_VERTEX:
        anyway = f", whatever {DISABLE_VARIABLE} says" if is_disabled() else ""
        return f"zenml-vertex {__version__}, by the record{anyway}"
    if owner is not Owner.BUILTIN:
        return "what the record says"
    if is_disabled():
        return f"ZenML's built-in flavor, because {DISABLE_VARIABLE} is set"
    if not has_init_hook():
        again = reinstall_command() or install_command("client")
        return f"ZenML's built-in flavor, because the init hook is missing: run `{again}`"
    return f"zenml-vertex {__version__}, by its init hook"


def _describe_removal(owner: "Owner", components: "Sequence[ComponentResponse]") -> str:
    """What removing the package would do."""
    from zenml_vertex.ownership.record import Owner, find_own_settings

    if owner is Owner.ZENML_VERTEX:
        return (
            "first run `zenml-vertex flavor restore`: without the package, ZenML cannot load a "
            "stack with such a step operator, nor register one"
        )
    if owner is not Owner.BUILTIN:
        return "changes nothing: the record names neither zenml-vertex nor ZenML's built-in flavor"
    own = {component.name: find_own_settings(component) for component in components}
    listed = "; ".join(f"{name}: {', '.join(keys)}" for name, keys in own.items() if keys)
    unknown = f", which ignores or refuses these settings: {listed}" if listed else ""
    return f"`{uninstall_command()}` leaves ZenML's built-in step operator{unknown}"


def _describe_next(record: "FlavorRecord") -> str:
    from zenml_vertex.ownership.record import Owner

    if record.is_unasked:
        return (
            "`zenml-vertex flavor restore` gives the record back to ZenML: an earlier version of "
            "zenml-vertex put itself there without being asked"
        )
    if record.owner is not Owner.ZENML_VERTEX:
        if record.owner is Owner.BUILTIN and has_init_hook() and not is_disabled():
            return (
                "nothing to do here; `zenml-vertex flavor install` is for a server that is to "
                "accept settings which only zenml-vertex has, or for users who are all to need it"
            )
        return "`zenml-vertex flavor install` makes the record name zenml-vertex"
    if not record.has_our_schema:
        return f"`zenml-vertex flavor install` brings the record to version {__version__}"
    return "nothing to do; `zenml-vertex flavor restore` gives the record back to ZenML"
