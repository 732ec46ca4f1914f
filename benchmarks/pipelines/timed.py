"""One step on Vertex AI that says when it begins, and waits for a file to end.

The step gets the settings that a job as a process needs in its environment, since
a job inherits nothing of the process that submits it.
"""

import os
import sys
import time
from pathlib import Path

# What a training script imports before it runs a pipeline; ZenML would otherwise
# do so in the run, to load its materializers.
import sklearn
from zenml import pipeline, step

PASSED_ON = (
    "PYTHONPATH",
    "STORAGE_EMULATOR_HOST",
    "ZENML_VERTEX_DISABLE",
    "BENCH_STEP_OPERATOR",
    "BENCH_BYTECODE",
    "BENCH_WRITES_BYTECODE",
    "BENCH_COUNTS",
)
OPERATOR = os.environ.get("BENCH_STEP_OPERATOR", "vertex")
MACHINE = {"machine_type": "n1-standard-4", "boot_disk_size_gb": 100}
# Google's packages for Vertex AI: what the built-in operator brings into a container.
CLIENTS = ("google.cloud.aiplatform", "google.cloud.aiplatform_v1")


def build_environment() -> dict[str, str]:
    """The container's environment."""
    found = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    if folder := os.environ.get("BENCH_BYTECODE"):
        found["PYTHONPYCACHEPREFIX"] = folder
        if not os.environ.get("BENCH_WRITES_BYTECODE"):
            found["PYTHONDONTWRITEBYTECODE"] = "1"
    if folder := os.environ.get("BENCH_COUNTS"):
        found["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, found.get("PYTHONPATH")]))
    return found


@step(
    step_operator=OPERATOR,
    enable_cache=False,
    environment=build_environment(),
    settings={"step_operator": MACHINE} if OPERATOR == "vertex" else {},
)
def timed(gate: str) -> None:
    """Print that user code runs, then wait for a file, if one is named."""
    loaded = sorted(set(CLIENTS) & set(sys.modules))
    if os.environ.get("BENCH_COUNTS"):
        print(f"requests before user code: {sys.modules['sitecustomize'].describe()}", flush=True)
    print(f"first line of user code, with {loaded} loaded", flush=True)
    while gate and not Path(gate).exists():
        time.sleep(0.01)


@pipeline(enable_cache=False)
def bench(gate: str) -> None:
    """One step."""
    timed(gate)


if __name__ == "__main__":
    print(f"scikit-learn {sklearn.__version__} is loaded", flush=True)
    print(f"run begins at {time.time()}", flush=True)
    bench(sys.argv[1])
