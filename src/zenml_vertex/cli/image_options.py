"""The options of commands that start a stack: whether step images are built, and with what."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from zenml_vertex.local_stack.images import ImagePlan

runtime_option = click.option(
    "--runtime", default="process", show_default=True, type=click.Choice(["process", "docker"]),
    help="docker builds step images with the Docker engine that answers, pushes them, pulls them "
    "and runs them; process runs steps with this Python.",
)  # fmt: skip
registry_option = click.option(
    "--registry", metavar="HOST:PORT",
    help="Registry that images are pushed to, with --runtime docker. [default: one that is started "
    "for the stack, from the image `registry:2`]",
)  # fmt: skip


def plan_images(runtime: str, **given: str | None) -> "ImagePlan | None":
    """What the user names of the services that images need; None where no image is built.

    Args:
        runtime: `process` or `docker`.
        given: The fields of the plan, by the names of the command's options.

    Raises:
        click.UsageError: If a field is given that has no effect.
    """
    if runtime != "docker":
        if any(given.values()):
            options = [f"--{name.replace('_', '-')}" for name in given]
            verb = "need" if options[1:] else "needs"
            raise click.UsageError(f"{' and '.join(options)} {verb} --runtime docker.")
        return None
    from zenml_vertex.local_stack.images import ImagePlan

    return ImagePlan(**{name: value or "" for name, value in given.items()})
