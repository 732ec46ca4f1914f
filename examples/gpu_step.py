"""The settings of a step that trains on a GPU.

The image needs CUDA, see docs/how-to/gpus.md. A step's settings go over the
component's, field by field.
"""

from zenml import pipeline, step
from zenml.integrations.gcp.flavors.vertex_step_operator_flavor import (
    VertexStepOperatorSettings,
)

gpu = VertexStepOperatorSettings(
    accelerator_type="NVIDIA_TESLA_T4",
    accelerator_count=1,
    machine_type="n1-standard-8",
    disk_type="pd-ssd",
    disk_size_gb=200,
)


@step(step_operator="vertex", settings={"step_operator": gpu}, enable_cache=False)
def train() -> str:
    """Runs on one T4."""
    return "trained"


@pipeline
def gpu_pipeline() -> None:
    """One step on a GPU."""
    train()


if __name__ == "__main__":
    gpu_pipeline()
