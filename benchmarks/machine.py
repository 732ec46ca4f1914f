"""The machine that figures come from; no names and no paths."""

import os
import platform
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """What figures depend on.

    Args:
        cores: Cores that this process may use.
        cpu: Model of the CPU.
        python: Version of Python.
        zenml: Version of ZenML.
        aiplatform: Version of google-cloud-aiplatform.
    """

    cores: int
    cpu: str
    python: str
    zenml: str
    aiplatform: str

    def describe(self) -> str:
        """The machine in one line."""
        return (
            f"{self.cores} cores of {self.cpu}, Python {self.python}, ZenML {self.zenml}, "
            f"google-cloud-aiplatform {self.aiplatform}"
        )


def find_machine() -> Machine:
    """This machine."""
    return Machine(
        cores=len(os.sched_getaffinity(0)),
        cpu=_find_cpu(Path("/proc/cpuinfo")),
        python=platform.python_version(),
        zenml=version("zenml"),
        aiplatform=version("google-cloud-aiplatform"),
    )


def _find_cpu(file: Path) -> str:
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "") or platform.machine()
