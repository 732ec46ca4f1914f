"""The persistent resource of a step, read before its job is created.

Not before the image is built: the check of settings needs no network, a resource may be created,
grow or be busy while an image is built, and what counts is what it is when the job comes.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from zenml_vertex.steps.step_jobs import open_log

if TYPE_CHECKING:
    from zenml.config.step_run_info import StepRunInfo

    from zenml_vertex.cloud.connection import Connection
    from zenml_vertex.steps.connections import ConnectionPool
    from zenml_vertex.steps.preflight import StepFindings


def place_step(
    info: "StepRunInfo",
    findings: "StepFindings",
    connection: "Connection",
    pool: "ConnectionPool",
) -> "StepFindings":
    """What a step asks for, once it is known where its job runs.

    A resource that cannot be read keeps no step from its job: Vertex AI then decides.

    Args:
        info: The step run.
        findings: What it asks for.
        connection: Where its job is to run.
        pool: Has what is known of persistent resources.

    Raises:
        ConfigurationError: If the job cannot run on its persistent resource, and is not to run
            elsewhere.
    """
    job, settings = findings.job, findings.settings
    if not job.persistent_resource_id:
        return findings
    # Not in a step's container.
    from zenml_vertex.resources.placing import Wishes, place
    from zenml_vertex.resources.resource import COLLECTION

    readings = pool.find_readings()
    name = f"{connection.parent}/{COLLECTION}/{job.persistent_resource_id}"
    log = open_log(info.step_run)
    pool_id = ""
    with readings.reading(connection.persistent_resources, name) as reading:
        if reading.error is None:
            placement = place(
                job,
                reading.resource,
                Wishes(
                    adopts=settings.persistent_resource_match == "adopt",
                    falls_back=settings.persistent_resource_fallback,
                ),
                name=name,
                step=f"step `{info.pipeline_step_name}`",
                taken=reading.taken,
            )
            job, pool_id = placement.job, placement.pool_id
            for note in placement.notes:
                log.log_placed(note)
            for warning in placement.warnings:
                log.warn_placed(warning)
        if job.persistent_resource_id:
            reading.taken[pool_id] += job.replica_count
            readings.note_use(name, str(info.step_run_id), job.replica_count)
    return replace(findings, job=job)
