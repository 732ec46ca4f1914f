"""`zenml-vertex jobs list`."""

import click

from zenml_vertex.cli.jobs.places import Places, Where, errors, where_options
from zenml_vertex.cli.jobs.shown import describe, describe_secret


@click.command(name="list")
@click.option("--orphans", is_flag=True, help="Only orphans, and jobs of clients that detached.")
@where_options
def list_jobs(
    *,
    orphans: bool,
    regions: tuple[str, ...],
    project: str | None,
    all_regions: bool,
    step_operator: str | None,
) -> None:
    """List the active jobs, and who follows each of them."""
    with errors():
        places = Places(Where(step_operator, regions, project, all_regions))
        inspected = places.inspect()
        secrets = places.find_orphan_secrets() if orphans else ()
    has_orphans = any(job.reason for _, job in inspected) or bool(secrets)
    shown = [(at, job) for at, job in inspected if not orphans or job.reason or job.is_left]
    for at, job in shown:
        click.echo(describe(job, place=places.name_other(at)))
    for _, secret in secrets:
        click.echo(describe_secret(secret))
    if not shown and not secrets:
        click.echo(f"No {'orphans' if orphans else 'active jobs'} in {places.described}.")
        return
    if has_orphans:
        click.echo(
            "`zenml-vertex jobs attach --all` follows the orphans to their ends; "
            "`zenml-vertex jobs cancel --orphans` cancels them."
        )
    elif orphans:
        click.echo(f"No orphans in {places.described} but jobs of clients that detached.")
    if orphans and any(job.is_left for _, job in shown):
        click.echo(
            "Jobs of clients that detached were meant to go on; "
            "`zenml-vertex jobs cancel --orphans --detached` cancels them too."
        )
