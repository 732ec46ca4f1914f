"""A step's code runs once, in real containers of the emulator that start twice."""

import re
from pathlib import Path

from tests.support.gate import Gate, Stop
from tests.support.pipelines import RunPipeline
from zenml_vertex.local_stack.processes.loopback import send_request
from zenml_vertex.local_stack.stack import LocalStack

STEP = """
    import os
    import threading
    import time
    from zenml import pipeline, step
    from zenml_vertex import VertexStepOperatorSettings

    settings = VertexStepOperatorSettings(disable_retries=False, lingering_seconds=2)

    @step(step_operator="vertex", settings={"step_operator": settings}, enable_cache=False)
    def NAME() -> int:
        print("the step's code runs in", os.environ["CLOUD_ML_JOB_ID"])
        MORE
        return 1

    @pipeline
    def once():
        NAME()

    if __name__ == "__main__":
        once()
"""
OUTAGE = """
    from typing import Annotated
    from zenml import pipeline, step
    from zenml.enums import ExecutionMode
    from zenml_vertex import VertexStepOperatorSettings

    hasty = VertexStepOperatorSettings(server_outage_seconds=0)

    @step(step_operator="vertex", enable_cache=False)
    def waits() -> Annotated[int, "of_waits"]:
        return 1

    @step(step_operator="vertex", settings={"step_operator": hasty}, enable_cache=False)
    def gives_up() -> Annotated[int, "of_gives_up"]:
        return 2

    @pipeline(execution_mode=ExecutionMode.CONTINUE_ON_FAILURE)
    def outage():
        waits()
        gives_up()

    if __name__ == "__main__":
        outage()
"""


def _build_script(name: str, more: str) -> str:
    return STEP.replace("NAME", name).replace("MORE", more)


def _plan(stack: LocalStack, **fault: object) -> None:
    answer = send_request(
        f"{stack.emulator_url}/emulator/faults", method="POST", body={"faults": [fault]}
    )
    assert answer.status == 200, answer


def _read_log(stack: LocalStack, job_name: str) -> list[str]:
    return stack.jobs.fetch_lines(job_name, "workerpool0-0")


def test_a_second_start_after_the_step_has_reported_runs_nothing(
    local_stack: LocalStack, run_pipeline: RunPipeline
) -> None:
    """A container that Vertex AI starts again after its step has reported runs no step code."""
    labels = {"zenml-step": "reported"}
    _plan(local_stack, fault="HangsAfterWork", labels=labels, seconds=40)
    _plan(local_stack, fault="InternalErrors", labels=labels, after=25)
    completed = run_pipeline(_build_script("reported", "pass"))
    assert completed.returncode == 0, completed.output
    name = str(completed.run.step("reported").job_name)
    job = local_stack.jobs.wait_until_terminal(name, 60)
    assert job["state"] == "JOB_STATE_SUCCEEDED", _read_log(local_stack, name)
    log = _read_log(local_stack, name)
    assert sum("the step's code runs in" in line for line in log) == 1, log
    assert sum("its code does not run again" in line for line in log) == 1, log


def test_a_container_that_hangs_after_its_step_ends_itself(
    local_stack: LocalStack, run_pipeline: RunPipeline
) -> None:
    """A container ends itself if a thread of its finished step would keep it running.

    So it does if the step has removed the variable that says when.

    The pipeline does not wait for the container, and ends before the job.
    """
    thread = "threading.Thread(target=time.sleep, args=[3600]).start()"
    more = f"del os.environ['ZENML_VERTEX_LINGERING_SECONDS']; {thread}"
    completed = run_pipeline(_build_script("leaves_a_thread", more))
    assert completed.returncode == 0, completed.output
    name = str(completed.run.step("leaves_a_thread").job_name)
    assert re.search(r"the step completed( after .* s)?; not waiting until", completed.output)
    assert local_stack.jobs.wait_until_terminal(name, 60)["state"] == "JOB_STATE_SUCCEEDED"


def test_a_step_waits_for_the_server_as_long_as_its_job_says(
    local_stack: LocalStack, run_pipeline: RunPipeline, tmp_path: Path
) -> None:
    """A container reports when the server is back, or says that it was not back in time."""
    refusals = [
        Stop("POST", "/artifact", "of_waits", status=503),
        Stop("POST", "/artifact", "of_gives_up", status=503, once=False),
    ]
    with Gate(local_stack.zenml_url, *refusals) as gate:
        through = {"ZENML_STORE_URL": f"http://{gate.host}", "ZENML_CONFIG_PATH": str(tmp_path)}
        run = run_pipeline(OUTAGE, environment=through).run
    assert run.step("waits").status == "completed"
    log = "\n".join(_read_log(local_stack, str(run.step("waits").job_name)))
    assert "The ZenML server does not respond (status 503)" in log
    assert "The ZenML server responds again" in log
    assert run.step("gives_up").status == "failed"
    error = str(run.step("gives_up").error)
    assert error.startswith("The ZenML server has not responded for 0 s (status 503)")
    assert "`server_outage_seconds`" in error
