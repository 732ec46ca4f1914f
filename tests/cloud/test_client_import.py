"""Jobs import a part of Google's package, and everyone else finds the whole."""

import subprocess
import sys

import pytest

_SAME = """
from google.cloud.aiplatform_v1 import JobServiceClient as whole
from zenml_vertex.cloud.jobs import JobServiceClient as part
assert whole is part
"""


def _run(program: str) -> str:
    command = [sys.executable, "-W", "ignore::FutureWarning", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.smoke
def test_jobs_import_the_client_of_one_service() -> None:
    """Of the package's thirty or so clients, only the one for jobs is imported."""
    program = """
import sys, zenml_vertex.cloud.jobs
services = "google.cloud.aiplatform_v1.services."
print({name.removeprefix(services).partition(".")[0] for name in sys.modules
       if name.startswith(services)})
"""
    assert _run(program) == "{'job_service'}\n"


@pytest.mark.smoke
def test_jobs_import_the_types_of_one_service() -> None:
    """Of the package's hundred or so modules of types, only those that a job uses are imported."""
    program = """
import sys, zenml_vertex.cloud.jobs
found = {name for name in sys.modules if name.startswith("google.cloud.aiplatform_v1.types.")}
assert "google.cloud.aiplatform_v1.types.custom_job" in found
assert "google.cloud.aiplatform_v1.types.featurestore" not in found
print(len(found) < 40)
"""
    assert _run(program) == "True\n"


@pytest.mark.smoke
@pytest.mark.parametrize(
    "use",
    [
        "from google.cloud.aiplatform_v1 import PredictionServiceClient as found",
        "from google.cloud import aiplatform_v1; found = aiplatform_v1.PredictionServiceClient",
        "import google.cloud.aiplatform_v1 as api; found = api.PredictionServiceClient",
        "import google.cloud.aiplatform_v1\n"
        "found = google.cloud.aiplatform_v1.PredictionServiceClient",
        "from google.cloud.aiplatform_v1 import *; found = PredictionServiceClient",
        "from google.cloud import aiplatform\n"
        "found = aiplatform.gapic.PredictionServiceClient, aiplatform.CustomJob",
        "from google.cloud.aiplatform_v1 import __version__ as found",
        "from google.cloud.aiplatform_v1 import types; found = types.Model",
        "from google.cloud.aiplatform_v1.types import Model as found",
        "from google.cloud.aiplatform_v1.types import *; found = Featurestore",
        "from google.cloud.aiplatform_v1.types import featurestore as found",
        "import google.cloud.aiplatform_v1.types.featurestore as found",
    ],
)
def test_a_script_finds_the_whole_package(use: str) -> None:
    """Any other import of the package works after ours, and each class exists once."""
    _run(f"import zenml_vertex.cloud.jobs\n{use}\nassert found\n{_SAME}")


@pytest.mark.smoke
@pytest.mark.parametrize("package", ["aiplatform_v1", "aiplatform"])
def test_a_script_that_has_the_whole_package_keeps_it(package: str) -> None:
    """An import of the whole package before ours is left alone, and each class exists once."""
    _run(f"from google.cloud import {package}\nimport zenml_vertex.cloud.jobs\n{_SAME}")


@pytest.mark.smoke
def test_a_type_is_the_same_from_every_import_path() -> None:
    """A type is one class from every path, even if it is imported after the operator's part."""
    program = """
from zenml_vertex.cloud.client_import import CustomJob
from google.cloud import aiplatform_v1
from google.cloud.aiplatform_v1 import types
assert aiplatform_v1.CustomJob is types.CustomJob is CustomJob
names = types.__all__
other = [name for name in names if getattr(aiplatform_v1, name) is not getattr(types, name)]
print(len(names) > 1000, other)
"""
    assert _run(program) == "True []\n"


def test_a_missing_name_is_reported_as_usual() -> None:
    """For a missing name, `hasattr` is False and an import is an ImportError that names it."""
    program = """
import zenml_vertex.cloud.jobs
from google.cloud import aiplatform_v1
assert not hasattr(aiplatform_v1, "NoSuchClient")
assert not hasattr(aiplatform_v1, "__no_such__")
try:
    from google.cloud.aiplatform_v1 import NoSuchClient
except ImportError as error:
    print(error)
"""
    assert "cannot import name 'NoSuchClient' from 'google.cloud.aiplatform_v1'" in _run(program)


def test_concurrent_imports_find_the_whole_package() -> None:
    """Threads that import the package during its import wait until it is complete."""
    program = """
import threading, zenml_vertex.cloud.jobs
from google.cloud import aiplatform_v1
names = ["PredictionServiceClient", "EndpointServiceClient", "ZebraServiceClient"] * 4
found, together = {}, threading.Barrier(len(names))
def ask(number, name):
    together.wait()
    found[number] = hasattr(aiplatform_v1, name)
threads = [threading.Thread(target=ask, args=each) for each in enumerate(names)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert found == {n: not name.startswith("Zebra") for n, name in enumerate(names)}, found
"""
    _run(program)
