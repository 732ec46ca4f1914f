"""Checks an environment that has the package, and neither emulator nor demo."""

import os
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

# Extra -> a command that needs it.
_COMMANDS = {
    "emulator": ("emulator",),
    "docker": ("emulator", "--runtime=docker"),
    "demo": ("demo",),
}
COMMAND = str(Path(sys.executable).with_name("zenml-vertex"))


def run(*arguments: str) -> str:
    """What `zenml-vertex` prints, whether or not it succeeds."""
    done = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def list_modules(**variables: str) -> set[str]:
    """The modules that `import zenml` loads."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys, zenml; print(*sys.modules)"],
        env={**os.environ, **variables}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(done.stdout.splitlines()[-1].split())


def main() -> None:
    """Check it; an AssertionError says what is wrong."""
    import zenml_vertex

    # Importing the emulator takes an extra.
    for package in ("vertex_emulator", "zenml_vertex"):
        assert "site-packages" in str(found := find_spec(package)), found
    assert zenml_vertex.__version__ == version("zenml-vertex")
    assert zenml_vertex.__version__ in run("--version")

    from zenml.integrations.gcp.flavors import vertex_step_operator_flavor as builtin
    from zenml.step_operators import BaseStepOperator

    flavor = builtin.VertexStepOperatorFlavor
    assert flavor is zenml_vertex.VertexStepOperatorFlavor
    assert issubclass(flavor().implementation_class, BaseStepOperator)
    google = [name for name in sys.modules if name.startswith("google.cloud.")]
    assert not google, google

    # What `import zenml` costs beyond what it costs without this package.
    added = list_modules() - list_modules(ZENML_VERTEX_DISABLE="1")
    assert not added, added

    for extra, command in _COMMANDS.items():
        said = run(*command)
        assert f"[{extra}]'" in said, said
        assert "Traceback" not in said, said


if __name__ == "__main__":
    main()
