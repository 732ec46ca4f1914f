"""Clients that leave a running job behind, and the clients that come after them."""

import os
import signal
from pathlib import Path

from tests.support.pipelines import StartPipeline, find_jobs, run_python
from zenml_vertex.local_stack.processes.loopback import send_request
from zenml_vertex.local_stack.stack import LocalStack
from zenml_vertex.local_stack.views.pipelines import PipelineProcess

SLEEPER = """
    import os
    import threading
    from zenml import pipeline, step
    from zenml_vertex import VertexStepOperatorSettings

    settings = VertexStepOperatorSettings(
        on_client_exit=os.environ.get("ON_CLIENT_EXIT", "cancel")
    )

    @step(step_operator="vertex", settings={"step_operator": settings}, enable_cache=False)
    def sleeps() -> None:
        threading.Event().wait()

    @pipeline
    def sleeper():
        sleeps()

    if __name__ == "__main__":
        sleeper()
"""
# A user stops the run while the step works, before the step can report.
STOPPED = """
    import sys
    from pathlib import Path
    from zenml import get_step_context, pipeline, step
    from zenml.client import Client
    from zenml.enums import ExecutionStatus
    from zenml.models import StepRunUpdate
    from zenml_vertex import VertexStepOperatorSettings

    settings = VertexStepOperatorSettings(on_client_exit="detach")

    @step(step_operator="vertex", settings={"step_operator": settings}, enable_cache=False)
    def stopped(gate: str) -> None:
        Path(gate).read_text()
        Client().zen_store.update_run_step(
            get_step_context().step_run.id, StepRunUpdate(status=ExecutionStatus.STOPPING)
        )

    @pipeline
    def stopping(gate: str) -> None:
        stopped(gate)

    if __name__ == "__main__":
        stopping(sys.argv[1])
"""
# As the dynamic runner does when it resumes a run of another process: it asks again and
# again. Each answer waits half a second at most for Vertex AI.
ASK = """
import sys
import time
from uuid import UUID
from zenml import log_metadata
from zenml.client import Client
operator = Client().active_stack.step_operator
if len(sys.argv) > 3:
    log_metadata({"zenml_vertex.job_name": sys.argv[3]}, step_id=UUID(sys.argv[1]))
step_run = Client().get_run_step(sys.argv[1])
deadline = time.monotonic() + 60
while (status := operator.get_status(step_run).value) != sys.argv[2]:
    assert time.monotonic() < deadline, status
    time.sleep(0.2)
print("status:", status)
"""

# Each step run is submitted twice at once, by two that share nothing but the server: threads for
# the second, processes for the first, while nothing is connected to Vertex AI.
TWICE = """
    import multiprocessing
    import os
    import threading
    from concurrent.futures import ThreadPoolExecutor
    from zenml import pipeline, step
    from zenml.client import Client
    from zenml_vertex.steps.operator import VertexStepOperator

    submit = VertexStepOperator.submit
    forking = multiprocessing.get_context("fork")

    def submit_on_threads(operator, **arguments):
        barrier = threading.Barrier(2)

        def start():
            barrier.wait()
            submit(operator, **arguments)

        with ThreadPoolExecutor() as pool:
            for started in [pool.submit(start), pool.submit(start)]:
                started.result()

    def submit_in_processes(operator, **arguments):
        for thread in threading.enumerate():
            if thread.name == "zenml-vertex-import":
                thread.join()
        barrier = forking.Barrier(2)

        def start():
            # What was open when the process was copied.
            Client().zen_store.session.close()
            barrier.wait()
            submit(operator, **arguments)

        def start_and_leave():
            start()
            # At the end of a process, its steps would end too.
            os._exit(0)

        child = forking.Process(target=start_and_leave)
        child.start()
        start()
        child.join()
        assert child.exitcode == 0

    def submit_twice(operator, *, info, **arguments):
        where = submit_on_threads if info.pipeline_step_name == "again" else submit_in_processes
        where(operator, info=info, **arguments)

    VertexStepOperator.submit = submit_twice

    @step(step_operator="vertex", enable_cache=False)
    def once() -> None:
        pass

    @step(step_operator="vertex", enable_cache=False)
    def again() -> None:
        pass

    @pipeline
    def twice():
        once()
        again(after="once")

    if __name__ == "__main__":
        twice()
"""


def _start(start_pipeline: StartPipeline, on_client_exit: str) -> tuple[PipelineProcess, str]:
    process = start_pipeline(SLEEPER, environment={"ON_CLIENT_EXIT": on_client_exit})
    process.wait_for_line(r"\(job \d+\): RUNNING")
    return process, process.wait_for_line(r"submitted as (projects/\S+)\.")[1]


def test_a_client_that_detaches_leaves_the_job_to_its_step(
    local_stack: LocalStack, start_pipeline: StartPipeline
) -> None:
    """After a Ctrl-C that detaches, the job and its step run continue, and no second job starts."""
    process, name = _start(start_pipeline, "detach")
    process.send_signal(signal.SIGINT)
    completed = process.wait(60)
    assert completed.returncode != 0
    assert "the job keeps running and is no longer followed" in completed.output
    assert completed.run.step("sleeps").status == "running"
    assert local_stack.jobs.fetch(name)["state"] == "JOB_STATE_RUNNING"
    answer = send_request(f"{local_stack.emulator_url}/v1/{name}:cancel", method="POST", body={})
    assert answer.status == 200


def test_a_step_that_no_client_follows_reports_that_it_was_stopped(
    local_stack: LocalStack, start_pipeline: StartPipeline, tmp_path: Path
) -> None:
    """Without a client, the step itself reports that it was stopped and is not left `stopping`."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    process = start_pipeline(STOPPED, str(gate))
    name = process.wait_for_line(r"submitted as (projects/\S+)\.")[1]
    process.wait_for_line(r"\(job \d+\): RUNNING")
    process.send_signal(signal.SIGINT)
    run = process.wait(60).run
    gate.write_text("")
    local_stack.jobs.wait_until_terminal(name, 60)
    assert local_stack.records.fetch_run(run.id).step("stopped").status == "stopped"


def test_the_job_of_a_client_that_was_killed_is_followed_by_the_next(
    local_stack: LocalStack, start_pipeline: StartPipeline
) -> None:
    """Another client returns the status of the step run's job, whatever its metadata says by then.

    A step that wrote the name of a host there got the token of whoever resumed the run.

    That client names the job too when it ends before the job does.
    """
    process, name = _start(start_pipeline, "cancel")
    process.send_signal(signal.SIGKILL)
    run = process.wait(30).run
    step_run_id = run.step("sleeps").id

    evil = "projects/1/locations/evil.example:8443?/customJobs/1"
    asked = run_python(local_stack, ASK, step_run_id, "running", evil)
    assert "status: running" in asked
    assert "is not the name of a Vertex AI job" in asked
    cancel = f"gcloud ai custom-jobs cancel {name.rsplit('/', 1)[-1]}"
    assert cancel in asked
    answer = send_request(f"{local_stack.emulator_url}/v1/{name}:cancel", method="POST", body={})
    assert answer.status == 200
    local_stack.jobs.wait_until_terminal(name, 30)
    said = run_python(local_stack, ASK, step_run_id, "stopped")
    assert "status: stopped" in said
    assert cancel not in said
    assert local_stack.records.fetch_run(run.id).step("sleeps").status == "stopped"


def test_a_step_run_that_is_submitted_twice_at_once_has_one_job(
    local_stack: LocalStack, start_pipeline: StartPipeline
) -> None:
    """On two threads and by two processes, the ZenML server decides who creates the job."""
    completed = start_pipeline(TWICE).wait()
    assert completed.returncode == 0, completed.output
    assert len(find_jobs(local_stack, completed.run.id)) == 2
