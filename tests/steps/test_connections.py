"""Google's client is imported in the background while images are built."""

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.forkserver import STARTED_BY_PYTHON
from zenml_vertex.installation import install_command

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

# Prints the thread in which the client is imported, and when ZenML submits the job.
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


def test_the_client_is_imported_silently_in_the_background() -> None:
    """The client is imported once for all pipelines, without a warning about Python's version."""
    after = "threads[0].join(); assert 'google.cloud.aiplatform_v1' in sys.modules"
    done = _run(after=after)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_process_can_exit_during_the_import() -> None:
    """A process whose image build fails during the import exits normally."""
    done = _run(after="sys.exit(3)")
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")


def test_a_client_that_cannot_be_imported_fails_the_connect() -> None:
    """The background import prints nothing; the connection's error says what to install."""
    done = _run(before=_WALL, after=_CONNECT)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("VertexStepOperatorError: ")
    assert install_command("client") in done.stdout


@pytest.mark.parametrize(
    ("operator", "said"),
    [
        ("'vertex'", ["imported in zenml-vertex-import", "loaded: True"]),
        ("None", ["loaded: False"]),
    ],
)
def test_only_pipelines_with_a_step_on_vertex_ai_import_the_client(
    run_pipeline: "RunPipeline", operator: str, said: list[str]
) -> None:
    """The import finishes during the image build.

    A pipeline without such a step imports nothing.
    """
    script = _PIPELINE.replace("{operator}", operator)
    completed = run_pipeline(script, environment=STARTED_BY_PYTHON)
    assert completed.returncode == 0, completed.output
    lines = completed.output.splitlines()
    assert [line for line in lines if line.startswith(("imported in", "loaded:"))] == said
