"""What `zenml-vertex jobs` says comes next for a run that has ended, done."""

import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

from tests.cli.test_dead_clients import PIPELINES
from tests.support.pipelines import wait_until
from zenml_vertex.local_stack.stack import LocalStack


def test_a_dynamic_run_whose_client_was_killed_can_be_completed(
    local_stack: LocalStack, tmp_path: Path
) -> None:
    """The command that `settle` prints runs the steps that the client had not started."""
    gate = tmp_path / "gate"
    script = local_stack.make_project("retried") / "pipeline.py"
    script.write_text(dedent(PIPELINES), "utf-8")
    with local_stack.start_pipeline(script, "dynamic", str(gate)) as process:
        process.wait_for_line(r"\(job \d+\): RUNNING")
        run_id = process.run_id
        assert run_id
        process.send_signal(signal.SIGKILL)
        process.wait()
    gate.touch()
    wait_until(lambda: local_stack.records.fetch_run(run_id).step("trains").status == "completed")

    def call(*command: str) -> str:
        done = subprocess.run(
            [str(Path(sys.executable).with_name(command[0])), *command[1:]],
            cwd=script.parent,
            env=dict(local_stack.environment),
            capture_output=True,
            text=True,
            timeout=120,
        )
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        return output

    output = call("zenml-vertex", "jobs", "settle", run_id)
    assert f"Run {run_id}  failed\n" in output
    found = re.search(r"`(zenml pipeline runs retry [^`]+)`", output)
    assert found, output
    output = call(*shlex.split(found[1]))
    run = local_stack.records.fetch_run(run_id)
    assert run.status == "completed", output
    assert [(step.name, step.status) for step in run.steps] == [
        ("trains", "completed"),
        ("evaluates", "completed"),
    ]
