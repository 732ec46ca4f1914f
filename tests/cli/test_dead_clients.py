"""`zenml-vertex jobs` after clients were killed: every command that the pages show."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gate import Gate, Stop
from tests.support.pipelines import StartPipeline, wait_until
from zenml_vertex.local_stack.stack import LocalStack, make_project
from zenml_vertex.local_stack.views.pipelines import PipelineProcess

# Three minutes on two idle cores: a dozen clients and commands import ZenML one after the other.
pytestmark = pytest.mark.timeout(900)
COMMAND = str(Path(sys.executable).with_name("zenml-vertex"))

# One step of a function, and one that the client would have started after it; or a command.
PIPELINES = """
    import sys
    from pathlib import Path
    from time import sleep
    from zenml import pipeline, step
    from zenml.config.retry_config import StepRetryConfig
    from zenml.steps import CommandStep
    from zenml_vertex import VertexStepOperatorSettings

    gate = sys.argv[2]

    retry = StepRetryConfig(max_retries=1)

    @step(step_operator="vertex", enable_cache=False, retry=retry)
    def trains(gate: str) -> int:
        while not Path(gate).exists():
            sleep(0.1)
        return 1

    @step(enable_cache=False)
    def evaluates(result: int) -> None:
        pass

    copies = CommandStep(
        name="copies",
        command=["sh", "-c", f"while [ ! -e {gate} ]; do sleep 0.1; done"],
        step_operator="vertex",
        settings={"step_operator": VertexStepOperatorSettings(region="us-east1")},
    )

    @pipeline(enable_cache=False)
    def function():
        evaluates(trains(gate))

    @pipeline(enable_cache=False)
    def command():
        copies()

    @pipeline(dynamic=True, depends_on=[trains], enable_cache=False)
    def dynamic():
        evaluates(trains(gate))

    if __name__ == "__main__":
        {"function": function, "command": command, "dynamic": dynamic}[sys.argv[1]]()
"""


class Jobs:
    """`zenml-vertex jobs` on the local stack."""

    def __init__(self, stack: LocalStack, folder: Path) -> None:
        self._stack = stack
        self._folder = folder

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [COMMAND, "jobs", *arguments],
            cwd=self._folder,
            env=dict(self._stack.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str) -> tuple[int, str]:
        """Run a command to its end."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=240)
        return process.returncode, output


@pytest.fixture
def jobs(local_stack: LocalStack, tmp_path: Path) -> Jobs:
    """The commands, in a folder of their own."""
    return Jobs(local_stack, make_project(tmp_path, "work"))


def _kill(process: PipelineProcess) -> str:
    """Kill a client as an operating system does, and return the ID of its run."""
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.run_id
    return process.run_id


def _read_until(process: subprocess.Popen[str], pattern: str) -> Iterator[str]:
    assert process.stdout
    for line in process.stdout:
        yield line
        if re.search(pattern, line):
            return
    raise AssertionError(f"no line {pattern}")


def _expect(stack: LocalStack, run_id: str, step: str, status: str, of_run: str) -> str:
    """Check how a step and its run have ended; the reasons of both, one after the other."""
    body = stack.records.fetch(f"/runs/{run_id}", {"hydrate": "true"})["body"]
    run = stack.records.fetch_run(run_id)
    assert (run.step(step).status, run.status) == (status, of_run)
    return f"{body.get('status_reason')}\n{run.step(step).error}"


def _attach_twice(jobs: Jobs, run_id: str) -> tuple[subprocess.Popen[str], str]:
    """Of two that attach at once, one follows: it, and how the other names it, which leaves."""
    both = [jobs.start("attach", run_id) for _ in range(2)]
    wait_until(lambda: any(one.poll() is not None for one in both), 180)
    (left,) = (one for one in both if one.poll() is not None)
    (follows,) = (one for one in both if one is not left)
    output, _ = left.communicate(timeout=180)
    named = re.search(r"step `trains` .* (process \d+ on \S+), ", output)
    assert named, output
    assert ("taken over" in output, left.returncode) == (False, 0)
    return follows, named[1]


def _attach_and_leave(jobs: Jobs, run_id: str) -> None:
    """Ctrl-C leaves a job that was attached to as it is, and it can be attached to again."""
    attaching, named = _attach_twice(jobs, run_id)
    said = "".join(_read_until(attaching, r"\(job \d+\): RUNNING"))
    _, output = jobs.run("list")
    assert re.search(rf"run {run_id}, .*followed by {named}, seen ", output), output
    attaching.send_signal(signal.SIGINT)
    rest, _ = attaching.communicate(timeout=180)
    assert attaching.returncode == 130, said + rest
    assert f"`zenml-vertex jobs attach {run_id}` follows it again" in rest
    _, output = jobs.run("list", "--region", "europe-west4")
    assert re.search(rf"run {run_id}, .*followed by nobody: process \d+ on \S+ detached", output)


def _cancel_an_orphan(stack: LocalStack, process: PipelineProcess, jobs: Jobs) -> None:
    """The step run and the run of a job that is cancelled end with it."""
    process.wait_for_line(r"\(job \d+\): RUNNING")
    run_id = _kill(process)
    code, output = jobs.run("cancel", "--orphans", "--yes")
    assert code == 0, output
    assert f"Run {run_id}  stopped\n" in output
    error = _expect(stack, run_id, "copies", "stopped", "stopped")
    assert "was cancelled with `zenml-vertex jobs cancel`" in error
    code, output = jobs.run("settle", run_id)
    assert (code, "There is nothing to settle." in output) == (0, True)


def test_what_killed_clients_leave_is_found_followed_and_ended(
    local_stack: LocalStack, start_pipeline: StartPipeline, jobs: Jobs, tmp_path: Path
) -> None:
    """Nothing runs unseen after a SIGKILL, and no step run and no run stays open.

    The jobs were no orphans, a command step's stayed `running` after its job had succeeded or was
    cancelled, a step killed before its create stayed open, and so did every run. A job in a
    region of its own was invisible.
    """
    first, second = tmp_path / "first", tmp_path / "second"
    with Gate(local_stack.emulator_url, create := Stop("POST", r"/customJobs(\?|$)")) as gate:
        environment = {"AIPLATFORM_EMULATOR_HOST": gate.host}
        started = start_pipeline(PIPELINES, "function", str(first), environment=environment)
        create.wait()
        uncreated = _kill(started)
    function = start_pipeline(PIPELINES, "function", str(first))
    command = start_pipeline(PIPELINES, "command", str(second))
    reports = start_pipeline(PIPELINES, "dynamic", str(second))
    function.wait_for_line(r"\(job \d+\): RUNNING")
    command.wait_for_line(r"\(job \d+\): RUNNING")
    reports.wait_for_line(r"\(job \d+\): RUNNING")
    followed = function.run_id
    assert followed
    settling = jobs.start("settle", uncreated)
    code, output = jobs.run("attach", followed)
    assert code == 0, output
    assert re.search(rf"step `trains` of run {followed}  followed by process \d+ on ", output)
    runs = {"trains": _kill(function), "copies": _kill(command)}
    reported = _kill(reports)

    code, output = jobs.run("list", "--orphans")
    assert code == 0, output
    for step, run_id in runs.items():
        assert re.search(rf"step `{step}` of .*run {run_id}, .*orphan: process .*has ended", output)

    _attach_and_leave(jobs, runs["trains"])
    attaching = jobs.start("attach", runs["trains"])
    said = "".join(_read_until(attaching, r"\(job \d+\): RUNNING"))
    first.touch()
    second.touch()
    rest, _ = attaching.communicate(timeout=240)
    assert attaching.returncode == 0, said + rest
    assert f"step `trains` of run {runs['trains']}  completed\n" in rest
    reason = _expect(local_stack, runs["trains"], "trains", "completed", "failed")
    assert "had not started will not run" in reason

    name = local_stack.records.fetch_run(runs["copies"]).step("copies").job_name
    assert name
    assert "/locations/us-east1/" in name
    local_stack.jobs.wait_until_terminal(name, 60)
    code, output = jobs.run("settle", "--all")
    assert code == 0, output
    assert f"step `copies` of run {runs['copies']}  completed\n" in output
    _expect(local_stack, runs["copies"], "copies", "completed", "completed")

    never = start_pipeline(PIPELINES, "command", str(tmp_path / "never"))
    _cancel_an_orphan(local_stack, never, jobs)

    # Its step has reported its end itself.
    _expect(local_stack, reported, "trains", "completed", "failed")

    output, _ = settling.communicate(timeout=240)
    assert settling.returncode == 0, output
    # ZenML would wait for ever for a retry of a step that has failed.
    error = _expect(local_stack, uncreated, "trains", "stopped", "stopped")
    assert "has no Vertex AI job" in error
    assert error.endswith("Nobody is left to retry it.")
