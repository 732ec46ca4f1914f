"""Prefect's worker for Vertex AI, which names Google's host itself and speaks gRPC."""

import json

from tests.clients.conftest import PIPELINE_TOOLS, PythonWith, Run
from vertex_emulator import JobState, VertexEmulator

_RUN = """
    import asyncio, json, logging, os
    from uuid import uuid4

    # Prefect's own settings: where it keeps its files, and that it has no server.
    os.environ |= {"PREFECT_HOME": os.getcwd(), "PREFECT_LOGGING_TO_API_ENABLED": "false"}

    import anyio
    from prefect.client.schemas.objects import FlowRun
    from prefect_gcp.workers.vertex import VertexAIWorker, VertexAIWorkerJobConfiguration

    said = []
    handler = logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())
    logging.getLogger("prefect.flow_runs.worker").addHandler(handler)
    worker = VertexAIWorker("a-pool")

    async def run(name, *command, is_killed=False):
        pool = {
            "replica_count": 1,
            "container_spec": {"image_uri": "registry.example/image:1", "command": command},
            "machine_spec": {"machine_type": "n1-standard-4"},
            "disk_spec": {"boot_disk_type": "pd-ssd", "boot_disk_size_gb": 100},
        }
        configuration = VertexAIWorkerJobConfiguration(
            name=name,
            region="us-central1",
            env={"COLOUR": "green"},
            job_spec={"maximum_run_time_hours": 1, "worker_pool_specs": [pool]},
            job_watch_poll_interval=0.2,
        )
        flow_run = FlowRun(flow_id=uuid4(), name="a-run")
        configuration.prepare_for_flow_run(flow_run)
        results = []

        async def follow(task_status):
            results.append(await worker.run(flow_run, configuration, task_status))

        async with anyio.create_task_group() as group:
            job = await group.start(follow)
            if is_killed:
                await worker.kill_infrastructure(job, configuration)
        return results[0].identifier, results[0].status_code

    async def main():
        ended = await asyncio.gather(
            run("good", "sh", "-c", "test $COLOUR = green"),
            run("bad", "sh", "-c", "exit 3"),
            run("killed", "sleep", "300", is_killed=True),
        )
        print(json.dumps({"ended": ended, "said": said}))

    asyncio.run(main())
"""


def test_flow_runs_are_jobs(
    emulator: VertexEmulator, run_python: Run, python_with: PythonWith
) -> None:
    """The worker creates jobs with environment and labels, follows them, and cancels one."""
    out = run_python(_RUN, python=python_with(*PIPELINE_TOOLS))
    printed = json.loads(out.splitlines()[-1])
    assert [(name.partition("-")[0], status) for name, status in printed["ended"]] == [
        *(("good", 0), ("bad", 1), ("killed", 1)),
    ]
    states = {job.request["displayName"]: job.state for job in emulator.jobs}
    assert [states[name] for name, _ in printed["ended"]] == [
        *(JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED),
    ]
    for job in emulator.jobs:
        assert job.request["jobSpec"]["serviceAccount"].startswith("emulator@my-project.")
        assert job.labels["prefect-io_flow-run-name"] == "a-run"
    # It takes no error but `CANCELED` for a cancelled job.
    (error,) = [text for text in printed["said"] if " failed: " in text]
    assert "exited with a non-zero status of 3" in error
