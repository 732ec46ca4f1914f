"""Types of the fixtures that run pipelines, and lookups that their tests share."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from zenml_vertex.local_stack.stack import LocalStack
from zenml_vertex.local_stack.views.pipelines import Completed, PipelineProcess


class StartPipeline(Protocol):
    """Start a pipeline script on the shared stack."""

    def __call__(
        self, script: Path | str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> PipelineProcess:
        """Start the script.

        Args:
            script: Path of the script, whose whole folder is copied; or its source.
            arguments: Its command line.
            environment: Additional environment variables.

        Returns:
            The process: wait for lines of its output, send it signals, wait for its
            end. Whatever still runs when the test is over is ended.
        """
        ...


class RunPipeline(Protocol):
    """Run a pipeline script on the shared stack to its end."""

    def __call__(
        self,
        script: Path | str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        seconds: float = 120.0,
    ) -> Completed:
        """Run the script.

        Args:
            script: Path of the script, whose whole folder is copied; or its source.
            arguments: Its command line.
            environment: Additional environment variables.
            seconds: Timeout.

        Returns:
            Exit status, output, and the run with its steps as the ZenML server has
            them. A run that fails does not raise.
        """
        ...


class StartShared(Protocol):
    """Start a script of `pipelines` for all tests of a module."""

    def __call__(self, name: str, *arguments: str, **environment: str) -> PipelineProcess:
        """Start the script.

        Args:
            name: Name of the script, without `.py`.
            arguments: Its command line.
            environment: Additional environment variables.
        """
        ...


def find_jobs(stack: LocalStack, run_id: str | None, step: str = "") -> list[dict[str, Any]]:
    """Return the emulator's jobs of a run, or of one step of it, newest first."""
    assert run_id, "the pipeline started no run"
    return [
        job
        for job in stack.jobs.fetch_all()
        if job["labels"]["zenml-run-id"] == run_id and step in ("", job["labels"]["zenml-step"])
    ]


def find_progress(output: str, job_id: str) -> list[str]:
    """Return the log's lines about a job's states, in order."""
    return re.findall(rf"\(job {job_id}\): ([A-Z][A-Z]+.*)\.", output)


def run_python(stack: LocalStack, script: str, *arguments: str) -> str:
    """Run a script beside a pipeline and return its output; it has to succeed."""
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=stack.make_project("beside"),
        env=dict(stack.environment),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wait_until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until a condition is true.

    Args:
        condition: Is checked every twentieth of a second.
        seconds: At most so long.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not true after {seconds:.0f} s"
        time.sleep(0.05)
