"""`zenml-vertex jobs`: the jobs of this ZenML server, its orphans, and step runs left open."""

import click

from zenml_vertex.cli.group import Group

_COMMANDS = {
    "attach": "zenml_vertex.cli.jobs.attaching:attach",
    "cancel": "zenml_vertex.cli.jobs.cancelling:cancel",
    "list": "zenml_vertex.cli.jobs.listing:list_jobs",
    "settle": "zenml_vertex.cli.jobs.settling:settle",
}


@click.group(
    cls=Group, lazy=_COMMANDS, short_help="Show, follow and end jobs of this ZenML server."
)
def jobs() -> None:
    """Show, follow and end Vertex AI jobs of this ZenML server.

    An orphan is a job that is still running although no client follows it, or although its
    step run or its pipeline run has finished, was stopped or does not exist any more: what a
    killed client leaves behind. So is a secret of such a step run (`environment_secrets`).

    Jobs are looked for in the project and region of the step operator, and wherever the step
    runs of the last 30 days say that their jobs are, if settings name that project.
    """
