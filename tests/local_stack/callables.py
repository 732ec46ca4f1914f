"""What the fixtures `start_pipeline` and `run_pipeline` are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

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
