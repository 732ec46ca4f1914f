"""A pipeline whose Vertex AI settings stand in YAML, beside this file."""

from pathlib import Path

from zenml import pipeline, step

CONFIG = Path(__file__).with_name("config.yaml")


@step(enable_cache=False)
def train(epochs: int) -> int:
    """Where it runs, and on what, is the YAML's to say."""
    return epochs


@pipeline
def yaml_pipeline() -> None:
    """One step, configured from outside."""
    train()


if __name__ == "__main__":
    yaml_pipeline.with_options(config_path=str(CONFIG))()
