"""`zenml-vertex persistent-resource create`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from zenml_vertex.cli.jobs.places import errors
from zenml_vertex.cli.persistent_resources.places import (
    ResourcePlaces,
    no_wait_option,
    place_options,
    read_one,
)
from zenml_vertex.cli.persistent_resources.shown import describe
from zenml_vertex.cli.persistent_resources.waiting import command, wait
from zenml_vertex.foreign_text import shell_word

if TYPE_CHECKING:
    from zenml_vertex.job.fields import JobFields
    from zenml_vertex.steps.operator import VertexStepOperator

_PARTS = (
    "machine_type",
    "accelerator_type",
    "accelerator_count",
    "boot_disk_type",
    "boot_disk_size_gb",
)


@click.command(short_help="Create a persistent resource that the jobs of a step operator fit.")
@click.argument("resource")
@click.option(
    "--from-step-operator", metavar="NAME",
    help="Whose settings: machine, disk, network, key, service account. [default: the active "
    "stack's]",
)  # fmt: skip
@click.option(
    "--from-step",
    metavar="FILE::STEP",
    help="With what a step sets over them: the file is imported, and STEP is its name there.",
)
@click.option("--replicas", type=int, help="How many machines. [default: 1]")
@click.option("--min-replicas", type=int, help="The least number of a pool that scales.")
@click.option("--max-replicas", type=int, help="The most.")
@click.option("--machine-type", metavar="TYPE", help="Instead of the settings'.")
@click.option("--accelerator-type", metavar="TYPE", help="Instead of the settings'.")
@click.option("--accelerator-count", type=int, help="Instead of the settings'; 0 is none.")
@click.option("--boot-disk-type", metavar="TYPE", help="Instead of the settings'.")
@click.option("--boot-disk-size-gb", type=int, help="Instead of the settings'.")
@no_wait_option
@place_options
def create(
    *,
    resource: str,
    from_step_operator: str | None,
    from_step: str | None,
    replicas: int | None,
    min_replicas: int | None,
    max_replicas: int | None,
    no_wait: bool,
    project: str | None,
    region: str | None,
    **parts: Any,
) -> None:
    """Create a persistent resource whose machines match the jobs of a step operator.

    It is billed from when it is RUNNING until it is deleted. RESOURCE is its ID: lower-case
    letters, digits and hyphens, beginning with a letter. Ctrl-C leaves it to be created.
    """
    with errors():
        from zenml_vertex.resources.matching import find_match
        from zenml_vertex.resources.request import Replicas, build_resource
        from zenml_vertex.resources.resource import parse_name

        places = ResourcePlaces(from_step_operator, project, region)
        operator = places.operator
        job = _read_job(operator, from_step, None, {name: parts[name] for name in _PARTS})
        connection, name = places.find(resource)
        parent, resource_id = parse_name(name)
        body = build_resource(job, Replicas(replicas, min_replicas, max_replicas))
        operation = connection.persistent_resources.create(parent, resource_id, body)
        if no_wait:
            click.echo(f"{name} is being created. Look again with: {command('show', name)}")
            return
        wait(connection, operation, name, "being created")
        found = read_one(connection, name)
        click.echo(describe(found))
        # Options, or a machine that was chosen, may make it another than the jobs ask for.
        asked = _read_job(operator, from_step, resource_id, {})
        adopts = "" if find_match(asked, found).is_exact else " --persistent_resource_match=adopt"
        word = shell_word(operator.name, operator.id)
        click.echo(
            "It is billed until it is deleted. To run the steps of the step operator on it:\n"
            f"  zenml step-operator update {word} --persistent_resource_id={resource_id}{adopts}\n"
            f"To end it:\n  {command('delete', name)}"
        )


def _read_job(
    operator: "VertexStepOperator",
    from_step: str | None,
    resource_id: str | None,
    parts: Mapping[str, Any],
) -> "JobFields":
    """What the jobs ask for.

    Args:
        operator: The step operator.
        from_step: `FILE::STEP`, if a step says more.
        resource_id: The resource that they are to run on; None for machines of their own.
        parts: Name of a field -> what an option says of it; None for nothing.

    Raises:
        ConfigurationError: If they cannot work.
    """
    from zenml_vertex.errors import ConfigurationError
    from zenml_vertex.job.fields import ROWS
    from zenml_vertex.job.machine_choice import Wishes, fit_machine
    from zenml_vertex.job.rules import find_problems

    given = {name: ROWS[name].read(value) for name, value in parts.items() if value is not None}
    if "accelerator_count" in given and given["accelerator_count"] is None:
        given["accelerator_type"] = None
    if from_step:
        from zenml_vertex.cli.step_files import read_step_job

        job = replace(read_step_job(operator, from_step, resource_id), **given)
        problems = find_problems(job)
    else:
        job = operator.config.to_job_fields()
        job = replace(
            job, **given, persistent_resource_id=resource_id, defaults=job.defaults - set(given)
        )
        fitted = fit_machine(job, Wishes())
        if resource_id is None:
            for choice in fitted.choices:
                click.echo(choice)
        job, problems = fitted.job, [*find_problems(fitted.job), *fitted.problems]
    if problems:
        raise ConfigurationError(problems, where=f"step operator `{operator.name}`")
    return job
