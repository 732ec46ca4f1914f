"""What DockerSettings carry into a step on a stack that builds no image, in real pipelines."""

from pathlib import Path

from tests.support.pipelines import RunPipeline
from zenml_vertex.local_stack.views.pipelines import Completed

SCRIPT = Path(__file__).parent / "pipelines" / "docker_settings" / "pipeline.py"
VARIABLES = {
    "BAKED": "build",
    "BOTH": "runtime",
    "OMP_NUM_THREADS": "1",
    "OWN": "job",
    "ZENML_ENABLE_REPO_INIT_WARNINGS": "False",
}


def run_whole(run_pipeline: RunPipeline, which: str) -> Completed:
    """Run pipelines of the script on a machine without a container engine; they have to succeed."""
    environment = {"DOCKER_HOST": "unix:///no/engine"}
    completed = run_pipeline(SCRIPT, which, environment=environment)
    assert completed.returncode == 0, completed.output
    return completed


def test_code_that_is_not_downloaded_is_there(run_pipeline: RunPipeline) -> None:
    """A step finds the code that its image would have, without what `.dockerignore` names.

    A search path among the image's variables leads into it.
    """
    run = run_whole(run_pipeline, "code").run
    said = run.step("has_code_in_image").metadata["said"]
    assert said == "model vendored kept.txt kept"


def test_variables_of_the_image_are_there(run_pipeline: RunPipeline) -> None:
    """A step gets its image's variables, by Docker's precedence, also from a build used again.

    A parent image that nothing is added to needs no container engine.
    """
    completed = run_whole(run_pipeline, "variables")
    assert "Reusing existing build" in completed.output
    seen = completed.run.step("reads_variables").metadata
    assert {name: seen[name] for name in VARIABLES} == VARIABLES
    assert completed.run.step("has_a_bare_parent").status == "completed"


def test_what_is_missing_is_said_once(run_pipeline: RunPipeline) -> None:
    """One warning says what only an image has, one which packages this Python lacks.

    Each names all steps that it is about, and no step that does not run on Vertex AI.
    """
    completed = run_whole(run_pipeline, "shortfalls")
    said = " ".join(completed.output.split())
    for part in (
        ": no image is built on this stack, so the job runs with this machine's Python",
        "lacks what the image `pytorch/pytorch:2.2.0` has and the apt packages `libgl1`. "
        "`zenml-vertex local-stack --runtime docker` builds the image.",
        ": this Python lacks packages that the step's image would have: "
        "`no-such-package-of-ours==1.0`. Install them",
    ):
        assert said.count(part) == 1, completed.output
    assert said.count("Steps `falls_short` and `falls_short_too`: ") == 2
    assert "`runs_here`:" not in said
