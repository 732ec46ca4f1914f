"""A user's code, as a type checker sees it. A line that stops to type-check breaks users.

`type: ignore[...]` marks what must be refused: mypy warns of one that is not needed.
"""

from datetime import timedelta
from pathlib import Path

from typing_extensions import assert_type
from zenml import step
from zenml.step_operators.base_step_operator import BaseStepOperatorFlavor

import zenml_vertex
from vertex_emulator import Clock, Job, JobState, ManualClock, SystemClock, Timings, VertexEmulator
from zenml_vertex import (
    VertexStepOperatorConfig,
    VertexStepOperatorFlavor,
    VertexStepOperatorSettings,
)

assert_type(zenml_vertex.__version__, str)

settings = VertexStepOperatorSettings(
    machine_type="a2-highgpu-1g",
    accelerator_type="NVIDIA_TESLA_A100",
    accelerator_count=1,
    region="europe-west4",
    on_client_exit="detach",
    lingering_seconds=60,
    timeout=timedelta(hours=1),
    labels={"team": "vision", "version": 3},
    nfs_mounts=[{"server": "10.0.0.2", "path": "/data", "mount_point": "data"}],
    additional_training_job_args={"strategy": "SPOT"},
)
assert_type(settings, VertexStepOperatorSettings)
assert_type(settings.machine_type, str)
assert_type(settings.accelerator_count, int)
assert_type(settings.disable_retries, bool | None)

config: VertexStepOperatorSettings = VertexStepOperatorConfig(region="europe-west4")
flavor: BaseStepOperatorFlavor = VertexStepOperatorFlavor()
assert_type(VertexStepOperatorFlavor().config_class, type[VertexStepOperatorConfig])


@step(step_operator="vertex", settings={"step_operator": settings})
def train(data: list[float]) -> float:
    """Do what a user's step does."""
    return sum(data)


def run_an_emulator(folder: Path) -> None:
    """Run a user's test against the emulator."""
    clocks: list[Clock] = [SystemClock(), ManualClock()]
    with VertexEmulator(data_dir=folder, clock=clocks[1], timings=Timings(teardown=0)) as emulator:
        assert_type(emulator, VertexEmulator)
        assert_type(emulator.url, str)
        job = emulator.wait_for_state("projects/p/locations/r/customJobs/1", seconds=10)
        assert_type(job, Job)
        assert_type(job.state, JobState)


VertexStepOperatorSettings(machine_type=4)  # type: ignore[arg-type]
VertexStepOperatorSettings(on_client_exit="wait")  # type: ignore[arg-type]
VertexEmulator(port="8080")  # type: ignore[arg-type]
