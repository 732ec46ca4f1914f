"""What the fixture `start_shared` is, and what its tests look for."""

import re
import subprocess
import sys
from typing import Any, Protocol

from zenml_vertex.local_stack.stack import LocalStack
from zenml_vertex.local_stack.views.pipelines import PipelineProcess


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
