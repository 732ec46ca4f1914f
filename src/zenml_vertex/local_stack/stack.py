"""A local stack that is running."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zenml_vertex.local_stack.processes.early_python import EarlyPython
from zenml_vertex.local_stack.views.pipelines import Completed, PipelineProcess
from zenml_vertex.local_stack.views.vertex import VertexJobsView
from zenml_vertex.local_stack.views.zenml import ZenMLRecords

if TYPE_CHECKING:
    from zenml_vertex.local_stack.images import ImageServices


@dataclass(frozen=True, slots=True)
class LocalStack:
    """A ZenML server, a Vertex AI emulator, a Cloud Storage emulator, and a stack of them.

    `start_local_stack` makes one.
    """

    # Has the servers' logs in `logs`.
    folder: Path
    zenml_url: str
    storage_url: str
    emulator_url: str
    # Where its processes load the flavor `vertex` from.
    flavor_source: str
    # The whole environment of a process that uses the stack.
    environment: Mapping[str, str] = field(repr=False)
    # What must never appear in any output; tests search for it.
    secrets: tuple[str, ...] = field(repr=False)
    records: ZenMLRecords = field(repr=False)
    jobs: VertexJobsView = field(repr=False)
    # None where jobs are plain processes.
    images: "ImageServices | None" = None
    # Runs the first pipeline, if modules were to be imported for it; None otherwise.
    early: EarlyPython | None = None
    # Phase of the start -> how long it took.
    seconds: Mapping[str, float] = field(default_factory=dict)

    def make_project(self, name: str, *files: Path) -> Path:
        """Make a folder for a pipeline's code; see `make_project` below."""
        return make_project(self.folder / "projects", name, *files)

    def start_pipeline(
        self, script: Path, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> PipelineProcess:
        """Start a script that runs a pipeline, in the script's own folder.

        Args:
            script: The script, in a folder of `make_project`.
            arguments: Its arguments.
            environment: More environment variables.
        """
        return PipelineProcess(
            [sys.executable, script.name, *arguments],
            folder=script.parent,
            environment={**self.environment, **(environment or {})},
            records=self.records,
            early=self.early if self.early and self.early.is_waiting else None,
        )

    def run_pipeline(
        self,
        script: Path | str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        seconds: float = 300.0,
    ) -> Completed:
        """Run a script that runs a pipeline to its end, in the script's own folder.

        It has a process of its own, since ZenML's client keeps its state in the process.

        Args:
            script: The script.
            arguments: Its arguments.
            environment: More environment variables.
            seconds: How long it may take.

        Raises:
            TimeoutError: If it takes longer; shows the output.
        """
        with self.start_pipeline(Path(script), *arguments, environment=environment) as process:
            return process.wait(seconds)


def make_project(parent: Path, name: str, *files: Path) -> Path:
    """Make a folder for a pipeline's code.

    It is a ZenML repository, so that ZenML looks for one nowhere else, and sends
    nothing but this folder to the job.

    Args:
        parent: Where to make it.
        name: Name of the folder; a number is added if it is taken.
        files: Files to copy into it, and folders whose content is copied.
    """
    folder = parent / name
    number = 1
    while folder.exists():
        number += 1
        folder = parent / f"{name}-{number}"
    (folder / ".zen").mkdir(mode=0o700, parents=True)
    for file in files:
        if file.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", ".zen")
            shutil.copytree(file, folder, dirs_exist_ok=True, ignore=ignored)
        else:
            shutil.copy(file, folder)
    return folder
