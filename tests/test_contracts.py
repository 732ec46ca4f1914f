"""The import contracts of pyproject.toml: each contract notices the import that it forbids."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
COMMAND = Path(sys.executable).with_name("lint-imports")
# Contract -> a module and an import that the contract forbids there.
BREACHES = {
    "Arrows run one way: cli, steps -> following -> job": (
        "zenml_vertex/following/cadence.py", "import zenml_vertex.steps.operator",
    ),
    "The emulator knows nothing of the operator, nor of ZenML": (
        "vertex_emulator/core/times.py", "import zenml_vertex.errors",
    ),
    "The operator's package enters the emulator by its door": (
        "zenml_vertex/cli/signals.py", "import vertex_emulator.core.clock",
    ),
    "The emulator's arrows run one way: faults -> services -> http -> core": (
        "vertex_emulator/core/pages.py", "import vertex_emulator.jobs.job",
    ),
    "Google is imported in cloud/ alone, and its protobuf and gRPC in as_google/": (
        "zenml_vertex/clock.py", "import google.auth",
    ),
    "ZenML is imported where ZenML calls, and nowhere else": (
        "zenml_vertex/errors.py", "import zenml.enums",
    ),
    "What a job is: no network, no clock, no ZenML": (
        "zenml_vertex/job/machines.py", "import time",
    ),
    "The emulator is started by cli and local_stack alone": (
        "zenml_vertex/steps/connector.py", "import vertex_emulator",
    ),
    "What is shipped imports nothing of what tests and measures it": (
        "zenml_vertex/cli/jobs/listing.py", "import tests.support",
    ),
    "The package itself has its public names, and imports nothing else": (
        "zenml_vertex/__init__.py", "import zenml_vertex.steps.images",
    ),
    "No package has a cycle": (
        "zenml_vertex/following/protocols.py", "import zenml_vertex.following.watcher",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bool]:
    """Return contract -> whether it is kept, in a copy of the packages with all these imports."""
    folder = tmp_path_factory.mktemp("contracts")
    for package in ("src", "benchmarks", "campaign"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    for module, line in BREACHES.values():
        file = folder / "src" / module
        file.write_text(f"{file.read_text('utf-8')}\n{line}\n", "utf-8")
    shutil.copy(ROOT / "pyproject.toml", folder)
    environment = {**os.environ, "PYTHONPATH": f"{folder}/src{os.pathsep}{folder}"}
    done = subprocess.run(
        [COMMAND, "--no-cache"],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [line.partition(" (")[0] for line in done.stdout.splitlines()]
    return {
        line.rpartition(" ")[0]: line.endswith(" KEPT")
        for line in lines
        if line.endswith((" KEPT", " BROKEN"))
    }


def test_every_contract_is_tested(report: dict[str, bool]) -> None:
    """Each contract in pyproject.toml has an import here that breaks it."""
    assert set(report) == set(BREACHES)


@pytest.mark.parametrize("contract", BREACHES)
def test_an_import_that_breaks_a_contract_is_noticed(
    contract: str, report: dict[str, bool]
) -> None:
    """A forbidden import, added to a module without any such import, breaks its contract."""
    assert not report[contract]
