"""Google's client is imported while images are built."""

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.pipelines import RunPipeline

_PREPARE = """
import sys, threading
from zenml_vertex.steps.connections import SHARED, ConnectionKey
{before}
SHARED.prepare()
SHARED.prepare()
threads = [thread for thread in threading.enumerate() if thread.name == "zenml-vertex-import"]
assert len(threads) <= 1, threads
{after}
"""
_WALL = """
class Wall:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("google.cloud.aiplatform_v1"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Wall())
"""
_CONNECT = """
try:
    SHARED.connect(ConnectionKey("europe-west4"), lambda: None)
except Exception as error:
    print(f"{type(error).__name__}: {error}")
"""

# Says in which thread the client is imported, and when ZenML goes on to the job.
_PIPELINE = """
import sys, threading
from importlib.machinery import PathFinder
from zenml import pipeline, step

class Witness:
    def find_spec(self, name, path=None, target=None):
        if name == "google.cloud.aiplatform_v1":
            print("imported in", threading.current_thread().name, flush=True)

sys.meta_path.insert(0, Witness())

@step(step_operator={operator})
def only() -> None:
    pass

@pipeline(enable_cache=False)
def prepared() -> None:
    only()

if __name__ == "__main__":
    prepared()
    print("loaded:", "google.cloud.aiplatform_v1" in sys.modules)
"""


def _run(before: str = "", after: str = "") -> "subprocess.CompletedProcess[str]":
    program = _PREPARE.format(before=before, after=after)
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)


def test_the_client_is_imported_in_the_background_without_a_word() -> None:
    """Once, however many pipelines are compiled; and nothing is said of Python's age."""
    after = "threads[0].join(); assert 'google.cloud.aiplatform_v1' in sys.modules"
    done = _run(after=after)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_process_that_ends_meanwhile_ends_well() -> None:
    """An image that cannot be built ends the process in the middle of the import."""
    done = _run(after="sys.exit(3)")
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")


def test_a_client_that_cannot_be_imported_fails_the_connect() -> None:
    """The background says nothing; the connection says what to install."""
    done = _run(before=_WALL, after=_CONNECT)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("VertexStepOperatorError: ")
    assert "pip install 'zenml-vertex[client]'" in done.stdout


@pytest.mark.parametrize(
    ("operator", "said"),
    [
        ("'vertex'", ["imported in zenml-vertex-import", "loaded: True"]),
        ("None", ["loaded: False"]),
    ],
)
def test_a_pipeline_with_a_step_here_imports_it_while_images_are_built(
    run_pipeline: "RunPipeline", operator: str, said: list[str]
) -> None:
    """Nobody waits for a second of imports when the job is created; others import nothing."""
    completed = run_pipeline(_PIPELINE.replace("{operator}", operator))
    assert completed.returncode == 0, completed.output
    lines = completed.output.splitlines()
    assert [line for line in lines if line.startswith(("imported in", "loaded:"))] == said
