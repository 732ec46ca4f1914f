"""The services that an emulator is made of, as far as one needs another: put together here."""

import random
from dataclasses import dataclass

from vertex_emulator.core.documents import DocumentStore
from vertex_emulator.core.operations import Operations
from vertex_emulator.core.timer import Timer
from vertex_emulator.faults.plan import FaultPlan
from vertex_emulator.jobs.api import JobApi
from vertex_emulator.jobs.driver import Driver
from vertex_emulator.jobs.scripts import Scripts
from vertex_emulator.jobs.service import JobService
from vertex_emulator.jobs.timings import TimingsOf
from vertex_emulator.logs.entries import JobLogs
from vertex_emulator.persistent_resources.api import PersistentResourceApi
from vertex_emulator.persistent_resources.scripts import ResourceScripts
from vertex_emulator.persistent_resources.service import PersistentResourceService
from vertex_emulator.persistent_resources.table import ResourceTable
from vertex_emulator.persistent_resources.timings import ResourceTimings
from vertex_emulator.runtimes.contract import AnyRuntime


@dataclass(frozen=True, slots=True)
class Foundation:
    """What every kind of resource is built on."""

    # Keeps the resources.
    store: DocumentStore
    # Long-running operations, which have routes of their own.
    operations: Operations
    # Where time comes from, and what calls back when it has come.
    timer: Timer


@dataclass(frozen=True, slots=True)
class JobParts:
    """Jobs, and the machines that stay for them."""

    driver: Driver
    jobs: JobApi
    resources: PersistentResourceApi


def build_jobs(
    foundation: Foundation,
    *,
    logs: JobLogs,
    runtime: AnyRuntime,
    timings: TimingsOf,
    resource_timings: ResourceTimings,
    metadata_host: str,
    faults: FaultPlan,
    ids: random.Random,
) -> JobParts:
    """Put together jobs and persistent resources, which know of each other.

    Args:
        foundation: What both are built on.
        logs: Takes what jobs write.
        runtime: Runs their containers.
        timings: How long the phases of each job last.
        resource_timings: How long operations on persistent resources take.
        metadata_host: `host:port` of the metadata server.
        faults: What is planned to happen to both.
        ids: Draws the IDs of jobs.
    """
    store, operations, timer = foundation.store, foundation.operations, foundation.timer
    table = ResourceTable(store)
    driver = Driver(
        store=store,
        logs=logs,
        runtime=runtime,
        timer=timer,
        timings=timings,
        metadata_host=metadata_host,
        scripts=Scripts(faults.script_of, faults.happened),
        machines=table,
        ids=ids,
    )
    resources = PersistentResourceService(
        table=table,
        driver=driver,
        operations=operations,
        timer=timer,
        timings=resource_timings,
        scripts=ResourceScripts(faults.script_of_resource, faults.happened),
    )
    faults.attach_resources(resources.find_resource, resources.add_script)
    jobs = JobService(
        driver, runtime, operations, lambda jobs: faults.find_unlisted(jobs, timer.now())
    )
    return JobParts(driver, JobApi(jobs), PersistentResourceApi(resources))
