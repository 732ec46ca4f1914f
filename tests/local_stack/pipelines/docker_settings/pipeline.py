"""Steps whose images are to carry something: `pipeline.py code|variables|shortfalls`."""

import os
import sys
from pathlib import Path

from trainer import model  # type: ignore[import-not-found] # its folder is the root there
from zenml import log_metadata, pipeline, step
from zenml.config import DockerSettings

SHOWN = ("BAKED", "BOTH", "OMP_NUM_THREADS", "OWN", "ZENML_ENABLE_REPO_INIT_WARNINGS")
VARIABLES = DockerSettings(
    environment={"baked": "build", "BOTH": "build"},
    runtime_environment={"BOTH": "runtime", "OMP_NUM_THREADS": 1, "OWN": "image"},
)
CODE = DockerSettings(
    allow_download_from_artifact_store=False, environment={"PYTHONPATH": "/app/vendored"}
)
BARE = DockerSettings(parent_image="team/image:1", install_stack_requirements=False)
SHORT = DockerSettings(
    parent_image="pytorch/pytorch:2.2.0",
    apt_packages=["libgl1"],
    requirements=["no-such-package-of-ours==1.0", "zenml"],
)


@step(step_operator="vertex", settings={"docker": VARIABLES}, environment={"OWN": "job"})
def reads_variables() -> None:
    """Record the variables that the step sees."""
    log_metadata({name: os.environ.get(name, "") for name in SHOWN})


@step(step_operator="vertex", settings={"docker": CODE})
def has_code_in_image() -> None:
    """Record what the code in the image says: none is downloaded."""
    import vendored_module  # type: ignore[import-not-found] # by PYTHONPATH

    files = sorted(path.name for path in Path("/app").glob("*.txt"))
    said = [model.NAME, vendored_module.NAME, *files, Path("kept.txt").read_text("utf-8")]
    log_metadata({"said": " ".join(said)})


@step(step_operator="vertex", settings={"docker": BARE})
def has_a_bare_parent() -> None:
    """Run in an image that nothing is added to."""


@step(step_operator="vertex", settings={"docker": SHORT})
def falls_short() -> None:
    """Run without what the image would have."""


@step(step_operator="vertex", settings={"docker": SHORT})
def falls_short_too() -> None:
    """Run without what the image would have."""


@step(settings={"docker": SHORT})
def runs_here() -> None:
    """Run in the client's own process, which no image is for."""


@pipeline(enable_cache=False)
def code() -> None:
    """Run a step whose code is in its image."""
    has_code_in_image()


@pipeline(enable_cache=False)
def variables() -> None:
    """Run steps whose builds are used again."""
    reads_variables()
    has_a_bare_parent()


@pipeline(enable_cache=False)
def shortfalls() -> None:
    """Run the steps that miss something."""
    falls_short()
    falls_short_too()
    runs_here()


PIPELINES = {"code": [code], "variables": [variables, variables], "shortfalls": [shortfalls]}

if __name__ == "__main__":
    for each in PIPELINES[sys.argv[1]]:
        each()
