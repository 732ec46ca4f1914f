"""What each step operator adds to a step's image, and to the start of its container.

Run as `make bench-image`. Megabytes: what each component brings into an image, installed
into an environment that has ZenML already, as ZenML's image builds do. Milliseconds of
a processor: a process that imports the operator, as ZenML does in every step container,
against one that imports ZenML's base class only; the least of runs taken in turn, because
whatever else the machine does only adds to them.
"""

import os
import resource
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from zenml_vertex.steps.own_package import ImageParts, find_image_parts

RUNS = 9
BASE = "import zenml.step_operators"
OPERATORS = {
    "zenml-vertex": "import zenml_vertex.steps.operator",
    "built-in": "import zenml.integrations.gcp.step_operators",
}


def measure_megabytes(operator: str) -> float:
    """Megabytes that an operator's requirements and files add to an environment with ZenML."""
    with tempfile.TemporaryDirectory() as folder:
        python = Path(folder) / "bin" / "python"
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder], check=True)
        # An image build compiles nothing unless it is told to; the Makefile tells uv to.
        environment = {k: v for k, v in os.environ.items() if k != "UV_COMPILE_BYTECODE"}
        install = [str(uv), "pip", "install", "--quiet", "--python", str(python)]
        zenml = f"zenml=={version('zenml')}"
        subprocess.run([*install, zenml], check=True, env=environment)
        before = _size(Path(folder))
        parts = _find_parts(operator)
        command = [*install, zenml, *parts.requirements]
        subprocess.run(command, check=True, env=environment)
        for path, text in parts.files.items():
            file = Path(folder) / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, "utf-8")
        return (_size(Path(folder)) - before) / 1e6


def measure_milliseconds() -> dict[str, float]:
    """Milliseconds of a processor that each operator adds to what ZenML's base class takes."""
    seconds: dict[str, list[float]] = {name: [] for name in ("", *OPERATORS)}
    for _ in range(RUNS):
        for name, taken in seconds.items():
            program = f"{BASE}\n{OPERATORS.get(name, '')}"
            taken.append(_time(program, is_builtin=name == "built-in"))
    least = {name: min(taken) for name, taken in seconds.items()}
    return {name: 1000 * (least[name] - least[""]) for name in OPERATORS}


def _find_parts(operator: str) -> ImageParts:
    if operator == "zenml-vertex":
        return find_image_parts()
    from zenml.integrations.gcp import GcpIntegration

    return ImageParts(frozenset(GcpIntegration.get_requirements()), {})


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _time(program: str, *, is_builtin: bool) -> float:
    environment = {**os.environ, "ZENML_VERTEX_DISABLE": "1" if is_builtin else "0"}
    start = _read_processor_seconds()
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        env=environment,
        check=True,
        capture_output=True,
    )
    return _read_processor_seconds() - start


def _read_processor_seconds() -> float:
    """What the processes that have ended took of the processors."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure, and print a table."""
    milliseconds = measure_milliseconds()
    megabytes = {name: measure_megabytes(name) for name in OPERATORS}
    print(f"{'adds to':<28}{'built-in':>12}{'zenml-vertex':>14}")
    for what, figures, unit in (
        ("the step's image", megabytes, "MB"),
        ("the container's start", milliseconds, "ms"),
    ):
        builtin, ours = figures["built-in"], figures["zenml-vertex"]
        print(f"{what:<28}{builtin:>9.1f} {unit}{ours:>11.1f} {unit}")


if __name__ == "__main__":
    main()
