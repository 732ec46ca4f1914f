"""The command `zenml-vertex`: options in, text out; other packages do the work.

Each subcommand is imported when it is called, so that `zenml-vertex emulator`
does not wait for ZenML, and `zenml-vertex flavor` not for a web server.
"""

from importlib import import_module

import click

from zenml_vertex import __version__

_COMMANDS = {
    "demo": "zenml_vertex.cli.demo:demo",
    "emulator": "zenml_vertex.cli.emulator:emulator",
    "jobs": "zenml_vertex.cli.jobs:jobs",
    "flavor": "zenml_vertex.cli.flavor:flavor",
    "local-stack": "zenml_vertex.cli.local_stack:local_stack",
}


class _LazyGroup(click.Group):
    """A group that imports the module of a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        target = _COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(cls=_LazyGroup)
@click.version_option(__version__, prog_name="zenml-vertex")
def main() -> None:
    """Run ZenML steps as Vertex AI CustomJobs, on Google Cloud or on this machine."""
