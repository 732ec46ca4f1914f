"""Steps as a compiled pipeline has them."""

from zenml.config import DockerSettings
from zenml.config.step_configurations import Step


def make_step(settings: DockerSettings) -> Step:
    """A step as a compiled pipeline has it."""
    spec = {"source": "pipelines.train", "upstream_steps": [], "invocation_id": "train"}
    configuration = {
        "name": "train",
        "settings": {"docker": settings.model_dump(exclude_unset=True)},
    }
    return Step.model_validate(
        {"spec": spec, "config": configuration, "step_config_overrides": configuration}
    )
