"""Parts of the harness in processes of their own, which print their result as JSON."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.samples import Operator
from zenml_vertex.local_stack.environment import choose_operator
from zenml_vertex.local_stack.stack import LocalStack

ROOT = Path(__file__).resolve().parents[1]
_SECONDS = 600.0


def run_alone(module: str, *arguments: str, operator: Operator) -> Any:
    """Run a module of this package without a stack, and return the JSON that it prints last.

    Args:
        module: Name of the module in this package.
        arguments: Its command line.
        operator: Whose flavor `vertex` is in that process.

    Raises:
        RuntimeError: If it fails or prints no JSON; with its output.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("ZENML_")}
        kept |= {"ZENML_CONFIG_PATH": folder, "ZENML_ANALYTICS_OPT_IN": "false"}
        return _run(module, arguments, {**kept, **choose_operator(operator)})


def run_on_stack(
    module: str, *arguments: str, stack: LocalStack, emulator_host: str, content: Any = None
) -> Any:
    """Run a module of this package on a stack, and return the JSON that it prints last.

    Args:
        module: Name of the module in this package.
        arguments: Its command line.
        stack: The stack.
        emulator_host: `host:port` of Vertex AI.
        content: What it reads from stdin as JSON.

    Raises:
        RuntimeError: If it fails or prints no JSON; with its output.
    """
    variables = {**stack.environment, "AIPLATFORM_EMULATOR_HOST": emulator_host}
    return _run(module, arguments, variables, json.dumps(content))


def _run(
    module: str, arguments: tuple[str, ...], environment: Mapping[str, str], text: str = ""
) -> Any:
    path = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
    variables = {**environment, "PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
    # A Python that writes no bytecode imports 4 times slower.
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *arguments],
        input=text,
        env=variables,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"benchmarks.{module} failed:\n{done.stdout}{done.stderr}")
    for line in reversed(done.stdout.splitlines()):
        # ZenML's log goes to stdout too, and the process may log as it exits.
        with suppress(ValueError):
            return json.loads(line)
    raise RuntimeError(f"benchmarks.{module} printed no result:\n{done.stdout}{done.stderr}")
