"""What a command needs beyond what the package itself requires."""

import click

from zenml_vertex.installation import find_missing, install_command


def require_extra(extra: str, who: str) -> None:
    """Refuse to go on without the packages of an extra.

    Args:
        extra: Its name in pyproject.toml.
        who: What needs it, as the beginning of a sentence.

    Raises:
        click.ClickException: If a package is missing; it says which, and what installs it.
    """
    if missing := find_missing(extra):
        raise click.ClickException(
            f"{who} needs what is not installed here: {', '.join(missing)}.\n"
            f"Run this first: {install_command(extra)}"
        )
