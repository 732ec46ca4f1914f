"""Google's SDK over its default transport, with nothing but a project and a region."""

from tests.clients.conftest import Run
from vertex_emulator import JobState, VertexEmulator

_RUN = """
    import sys
    from google.cloud import aiplatform

    aiplatform.init(project="my-project", location="us-central1", staging_bucket="gs://bucket")
    pool = {
        "machine_spec": {"machine_type": "n1-standard-4"},
        "replica_count": 1,
        "container_spec": {"image_uri": "registry.example/image:1", "command": sys.argv[1:]},
    }
    job = aiplatform.CustomJob(display_name="from the SDK", worker_pool_specs=[pool])
    try:
        job.run()
    except RuntimeError as error:
        print("failed:", error)
    print(job.resource_name, job.state.name)
    print(*[other.display_name for other in aiplatform.CustomJob.list()])
"""


def test_custom_job_run(emulator: VertexEmulator, run_python: Run) -> None:
    """`CustomJob.run()` creates a job, waits for it, and lists it, over gRPC."""
    out = run_python(_RUN, "echo", "in the container")
    (job,) = emulator.jobs
    assert job.state is JobState.SUCCEEDED
    assert f"{job.job_id} JOB_STATE_SUCCEEDED\nfrom the SDK\n" in out
    assert any(call.identity.startswith("emulator@my-project.") for call in emulator.calls)


def test_a_job_that_fails_raises(emulator: VertexEmulator, run_python: Run) -> None:
    """The SDK raises for a failed job, with the service's own error."""
    out = run_python(_RUN, "sh", "-c", "exit 3")
    assert emulator.jobs[0].state is JobState.FAILED
    assert "failed: Job failed with:" in out
    assert "exited with a non-zero status of 3" in out


_WARM = """
    from google.cloud import aiplatform
    from google.cloud.aiplatform.preview import persistent_resource
    from google.cloud.aiplatform_v1beta1.types.persistent_resource import ResourcePool

    aiplatform.init(project="my-project", location="us-central1", staging_bucket="gs://bucket")
    machine = {"machine_type": "n1-standard-4"}
    warm = persistent_resource.PersistentResource.create(
        persistent_resource_id="warm",
        resource_pools=[ResourcePool(machine_spec=machine, replica_count=1)],
    )
    print(warm.display_name, warm.state.name)
    pool = {
        "machine_spec": machine,
        "replica_count": 1,
        "container_spec": {"image_uri": "registry.example/image:1", "command": ["true"]},
    }
    job = aiplatform.CustomJob(
        display_name="warm", worker_pool_specs=[pool], persistent_resource_id="warm"
    )
    job.run()
    print(job.state.name)
    warm.delete()
    print("left:", persistent_resource.PersistentResource.list())
"""


def test_a_job_on_a_persistent_resource(emulator: VertexEmulator, run_python: Run) -> None:
    """The SDK makes a persistent resource, runs a job there, and deletes it, over gRPC."""
    lines = run_python(_WARM).splitlines()
    assert {"warm RUNNING", "JOB_STATE_SUCCEEDED", "left: []"} <= set(lines)
    (job,) = emulator.jobs
    assert job.resource is not None
