"""`zenml-vertex demo`, as a user runs it."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.leftovers import find_processes

COMMAND = str(Path(sys.executable).with_name("zenml-vertex"))
# The whole demo; on two cores it takes 20 s.
SECONDS = 240
# A signed token, as the ZenML server issues them.
TOKEN = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+\.[\w-]+")


@pytest.fixture
def user(tmp_path: Path) -> dict[str, str]:
    """The environment of a user with their own ZenML and gcloud configuration."""
    home = tmp_path / "home"
    files = {
        ".config/zenml/config.yaml": "store:\n  type: rest\n  url: https://zenml.example.com\n",
        ".config/gcloud/configurations/config_default": "[core]\nproject = users-project\n",
        "work/.zen/config.yaml": "active_stack_id: 00000000-0000-0000-0000-000000000000\n",
    }
    for name, content in files.items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    (tmp_path / "temporary").mkdir()
    return {
        **os.environ,
        "HOME": str(home),
        "TMPDIR": str(tmp_path / "temporary"),
        "ZENML_CONFIG_PATH": str(home / ".config" / "zenml"),
        "GOOGLE_CLOUD_PROJECT": "users-project",
    }


def _read_tree(folder: Path) -> dict[str, bytes]:
    """All files but caches: ZenML asks uv what is installed, and uv keeps a cache there."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file() and ".cache" not in file.relative_to(folder).parts
    }


@contextmanager
def _start_demo(user: dict[str, str], *options: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [COMMAND, "demo", *options],
        env=user,
        cwd=Path(user["HOME"]) / "work",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _read_until(process: "subprocess.Popen[str]", text: str) -> str:
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return "".join(seen)
    raise AssertionError(f"The demo ended without {text!r}:\n{''.join(seen)}")


def test_the_demo_shows_a_job_and_leaves_nothing(user: dict[str, str]) -> None:
    """The demo ends with the job, its states, the accuracy and the times.

    The user's configuration is unchanged, no process is left, and no secret was shown.
    """
    temporary = Path(user["TMPDIR"])
    before = _read_tree(Path(user["HOME"]))
    done = subprocess.run(
        [COMMAND, "demo", "--keep"],
        env=user,
        cwd=Path(user["HOME"]) / "work",
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = done.stdout[done.stdout.index("\nVertex AI job ") :]
    assert re.search(r"projects/\d+/locations/europe-west4/customJobs/\d+\n", summary)
    states = re.findall(r"([A-Z]+) +\d\d:\d\d:\d\d\.\d{3} UTC", summary)
    assert states == ["PENDING", "RUNNING", "SUCCEEDED"]
    accuracy = re.search(r"Model accuracy +(\d+\.\d)% of 360 digits", summary)
    assert accuracy
    assert float(accuracy[1]) > 95
    for phase in ("servers", "registration", "pipeline", "clean-up", "together"):
        assert re.search(rf"{phase} +\d+\.\d s", summary), summary
    # ZenML's own lines are shown, with the time.
    assert re.search(r" s    \| Step `train` has started\.", done.stdout)
    assert "The flavor `vertex` is zenml_vertex.flavor.VertexStepOperatorFlavor." in done.stdout

    assert _read_tree(Path(user["HOME"])) == before
    assert find_processes(temporary) == []
    (kept,) = temporary.iterdir()
    assert (kept / "stack" / "logs" / "zenml.log").is_file()
    # The job was given a token of the ZenML server, which is in no other file.
    jobs = (kept / "stack" / "vertex" / "projects").glob("*/locations/*/customJobs/*/document.json")
    (job,) = jobs
    assert TOKEN.search(job.read_text("utf-8"))
    assert not TOKEN.search(done.stdout + done.stderr)
    assert not list((kept / "stack" / "zenml-client").glob("credentials*"))


def test_ctrl_c_cancels_the_job_and_leaves_nothing(user: dict[str, str]) -> None:
    """Ctrl-C while the job runs cancels it, ends the servers and removes the folder."""
    with _start_demo(user) as demo:
        _read_until(demo, "Step `train` (job ")
        demo.send_signal(signal.SIGINT)
        output, _ = demo.communicate(timeout=SECONDS)
    assert demo.returncode == 128 + signal.SIGINT, output
    assert re.search(r"Vertex AI job projects/\S+: CANCELLED\.", output)
    assert "nothing is left running" in output
    assert "Traceback" not in output
    assert find_processes(user["TMPDIR"]) == []
    assert list(Path(user["TMPDIR"]).iterdir()) == []


def test_sigterm_while_the_servers_start_leaves_nothing(user: dict[str, str]) -> None:
    """SIGTERM during the start ends the demo with the usual status, and the servers too."""
    with _start_demo(user) as demo:
        _read_until(demo, "Cloud Storage emulator is ready")
        demo.terminate()
        output, _ = demo.communicate(timeout=SECONDS)
    assert demo.returncode == 128 + signal.SIGTERM, output
    assert find_processes(user["TMPDIR"]) == []
    assert list(Path(user["TMPDIR"]).iterdir()) == []
