"""What a command needs beyond what the package itself requires."""

import click

from zenml_vertex.installation import find_missing, install_command

# More of them help nobody: the command brings them all.
_MOST_NAMES = 3


def require_extra(extra: str, who: str) -> None:
    """Refuse to go on without the packages of an extra.

    Args:
        extra: Its name in pyproject.toml.
        who: What needs it, as the beginning of a sentence.

    Raises:
        click.ClickException: If a package is missing; it says which extra, and what installs it.
    """
    if missing := find_missing(extra):
        rest = len(missing) - _MOST_NAMES
        listed = ", ".join(f"`{name}`" for name in missing[:_MOST_NAMES])
        more = f" and {rest} more" if rest > 0 else ""
        verb = "is" if len(missing) == 1 else "are"
        raise click.ClickException(
            f"{who} needs the extra `{extra}`, which is not installed here: {listed}{more} {verb} "
            f"missing.\nRun this first: {install_command(extra)}"
        )
