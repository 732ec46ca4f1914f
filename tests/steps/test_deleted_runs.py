"""Runs that are deleted on the ZenML server while a step is running."""

from pathlib import Path

from tests.support.pipelines import StartPipeline, run_python, wait_until
from zenml_vertex.local_stack.stack import LocalStack

SLEEPER = """
    import sys
    import threading
    from pathlib import Path
    from zenml import pipeline, step

    @step(step_operator="vertex", enable_cache=False)
    def sleeps(started: str) -> None:
        Path(started).touch()
        threading.Event().wait()

    @pipeline
    def sleeper(started: str) -> None:
        sleeps(started)

    if __name__ == "__main__":
        sleeper(sys.argv[1])
"""
DELETE = """
import sys
from zenml.client import Client
Client().delete_pipeline_run(sys.argv[1])
"""
# A server without that step run, and then a proxy whose server is down for a moment:
# ZenML's client raises KeyError for both.
ASK = """
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from uuid import uuid4
from zenml.client import Client
from zenml_vertex.errors import VertexStepOperatorError

class NotFound(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(404)

step_runs = Client().active_stack.step_operator.step_runs
calls = {
    "status": step_runs.status,
    "fail": lambda name: step_runs.fail(name, "for no reason"),
    "record": lambda name: step_runs.record(name, {"key": "value"}),
    "find": step_runs.find,
}

def ask(name):
    try:
        return calls[name](str(uuid4()))
    except VertexStepOperatorError as error:
        return type(error).__name__

print([f"{name}: {ask(name)}" for name in calls])
with HTTPServer(("127.0.0.1", 0), NotFound) as proxy:
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    Client().zen_store.config.url = f"http://127.0.0.1:{proxy.server_port}"
    print([f"{name}: {ask(name)}" for name in ("status", "find")])
    proxy.shutdown()
"""


def test_the_job_of_a_deleted_run_is_cancelled(
    local_stack: LocalStack, start_pipeline: StartPipeline, tmp_path: Path
) -> None:
    """The job of a deleted run is cancelled, because no one can receive its result."""
    started = tmp_path / "started"
    process = start_pipeline(SLEEPER, str(started))
    name = process.wait_for_line(r"submitted as (projects/\S+)\.")[1]
    process.wait_for_line(r"\(job \d+\): RUNNING")
    run_id = process.wait_for_line(r"Dashboard URL .*/runs/([0-9a-f-]{36})")[1]
    # A container whose step run is gone before its code runs fails by itself.
    wait_until(started.exists)
    run_python(local_stack, DELETE, run_id)
    process.wait_for_line(r"Was its pipeline run deleted\?")
    assert local_stack.jobs.wait_until_terminal(name, 30)["state"] == "JOB_STATE_CANCELLED"


def test_a_404_of_a_proxy_does_not_mean_that_a_step_run_was_deleted(
    local_stack: LocalStack,
) -> None:
    """No job is cancelled while the ZenML server restarts behind an ingress that answers 404."""
    known, away = run_python(local_stack, ASK).splitlines()[-2:]
    assert known == str(
        [
            "status: StepRunNotFound",
            "fail: StepRunNotFound",
            "record: StepRunNotFound",
            "find: None",
        ]
    )
    assert away == str(["status: ServerUnreachable", "find: ServerUnreachable"])
