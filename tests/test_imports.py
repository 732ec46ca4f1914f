"""What an import costs: nothing of Google."""

import subprocess
import sys

import pytest

_PROGRAM = """
import sys

class Wall:
    def find_spec(self, name, path=None, target=None):
        root, _, rest = name.partition(".")
        if root == "grpc" or name.startswith(("google.cloud.", "google.api_core", "google.auth")):
            raise AssertionError(f"{{name}} was imported")
        return None

sys.meta_path.insert(0, Wall())
import {module}
{then}
"""


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("module", "then"),
    [
        ("zenml_vertex", ""),
        ("zenml_vertex.config", "zenml_vertex.VertexStepOperatorSettings()"),
        ("zenml_vertex.flavor", "zenml_vertex.VertexStepOperatorFlavor().config_schema"),
        ("zenml_vertex.flavor", "zenml_vertex.VertexStepOperatorFlavor().implementation_class"),
        ("zenml_vertex.steps.operator", ""),
        ("zenml_vertex.cli", ""),
    ],
)
def test_no_module_of_google_is_imported(module: str, then: str) -> None:
    """Every step container imports the operator: seconds and 200 MB are at stake."""
    program = _PROGRAM.format(module=module, then=then)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_wall_would_notice() -> None:
    """The test above can fail."""
    program = _PROGRAM.format(module="zenml_vertex.cloud.jobs", then="")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode != 0
    assert "was imported" in done.stderr


def test_the_package_itself_does_not_import_zenml() -> None:
    """It is loaded while ZenML itself is being imported."""
    program = "import sys, zenml_vertex; assert 'zenml' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
