"""What the fixtures that run pipelines are, and what their tests look for."""

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from zenml_vertex.local_stack.stack import LocalStack
from zenml_vertex.local_stack.views.pipelines import Completed, PipelineProcess


class StartPipeline(Protocol):
    """Starts a pipeline script on the shared stack."""

    def __call__(
        self, script: Path | str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> PipelineProcess:
        """Start it.

        Args:
            script: Path of the script, whose whole folder is copied; or its source.
            arguments: Its command line.
            environment: More environment variables.

        Returns:
            The process: wait for lines of its output, send it signals, wait for its
            end. Whatever still runs when the test is over is ended.
        """
        ...


class RunPipeline(Protocol):
    """Runs a pipeline script on the shared stack to its end."""

    def __call__(
        self,
        script: Path | str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        seconds: float = 120.0,
    ) -> Completed:
        """Run it.

        Args:
            script: Path of the script, whose whole folder is copied; or its source.
            arguments: Its command line.
            environment: More environment variables.
            seconds: At most so long.

        Returns:
            Exit status, output, and the run with its steps as the ZenML server has
            them. A run that fails is no error here.
        """
        ...


class StartShared(Protocol):
    """Starts a script of `pipelines` for all tests of a module."""

    def __call__(self, name: str, *arguments: str, **environment: str) -> PipelineProcess:
        """Start it.

        Args:
            name: Name of the script, without `.py`.
            arguments: Its command line.
            environment: More environment variables.
        """
        ...


def find_jobs(stack: LocalStack, run_id: str | None, step: str = "") -> list[dict[str, Any]]:
    """The jobs of a run, or of one step of it, as the emulator has them; the newest first."""
    assert run_id, "there is no run"
    return [
        job
        for job in stack.jobs.fetch_all()
        if job["labels"]["zenml-run-id"] == run_id and step in ("", job["labels"]["zenml-step"])
    ]


def find_progress(output: str, job_id: str) -> list[str]:
    """What the log says of a job's states, in order."""
    return re.findall(rf"Vertex AI job {job_id}: ([A-Z]+.*)\.", output)


def run_python(stack: LocalStack, script: str, *arguments: str) -> str:
    """What a script prints that somebody runs beside a pipeline; it has to end well."""
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
