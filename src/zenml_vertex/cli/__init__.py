"""The command `zenml-vertex`: options in, text out; other packages do the work.

Each subcommand is imported when it is called, so that `zenml-vertex emulator`
does not wait for ZenML, and `zenml-vertex flavor` not for a web server.
"""

import click

from zenml_vertex import __version__
from zenml_vertex.cli.group import Group

_COMMANDS = {
    "demo": "zenml_vertex.cli.demo:demo",
    "emulator": "zenml_vertex.cli.emulator:emulator",
    "jobs": "zenml_vertex.cli.jobs:jobs",
    "flavor": "zenml_vertex.cli.flavor:flavor",
    "local-stack": "zenml_vertex.cli.local_stack:local_stack",
    "machines": "zenml_vertex.cli.machines:machines",
    "persistent-resource": "zenml_vertex.cli.persistent_resources:persistent_resource",
}

_WELCOME = """\
zenml-vertex runs steps of ZenML pipelines as Vertex AI jobs. What do you want to do?

See it work on this machine, without Google Cloud:
  zenml-vertex demo

Run a pipeline of your own on this machine:
  zenml-vertex local-stack python my_pipeline.py

Run steps on Google Cloud: register a step operator and add it to the active stack:
  zenml step-operator register vertex --flavor=vertex --region=europe-west4
  zenml stack update -s vertex

See the jobs that are running there:
  zenml-vertex jobs list

`zenml-vertex --help` shows every command."""


@click.group(
    cls=Group,
    lazy=_COMMANDS,
    welcome=_WELCOME,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="zenml-vertex")
@click.option("--traceback", is_flag=True, help="Show the traceback of an unexpected error.")
def main(*, traceback: bool) -> None:
    """Run ZenML steps as Vertex AI CustomJobs, on Google Cloud or on this machine.

    Exit status: 0 if all went well, 1 for an error, 2 for a wrong command or option,
    128 + N after signal N (130 after Ctrl-C). `local-stack COMMAND` has that of the
    COMMAND.
    """
    # The group reads it when a command fails.
    del traceback
