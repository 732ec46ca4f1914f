"""The tutorial, as a reader types it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.support.leftovers import find_processes
from tests.support.pages import DOCS, ROOT, generalise, read_blocks

PAGE = DOCS / "tutorial" / "first-step.md"
# Two servers start and five ZenML commands run, which takes 40 s on two cores.
SECONDS = 240

SHOW_JOBS = """
python - <<'END'
import os, urllib.request
host = os.environ["AIPLATFORM_EMULATOR_HOST"]
jobs = f"http://{host}/v1/projects/demo-project/locations/europe-west4/customJobs"
print("JOBS", urllib.request.urlopen(jobs).read().decode())
END
"""


def test_the_tutorial_works(tmp_path: Path) -> None:
    """Typed word for word, the tutorial prints what its page shows and leaves nothing behind."""
    make, local_stack, *typed, ending = read_blocks(PAGE, "shell")
    assert make.startswith("make demo\n")
    assert ending == "exit\n"
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "SHELL": "/bin/sh",
        "TMPDIR": str(tmp_path),
    }
    done = subprocess.run(
        local_stack.split(),
        cwd=ROOT,
        env=environment,
        input="".join([*typed, SHOW_JOBS, ending, "echo too late\n"]),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout
    printed = set(generalise(done.stdout))
    # On a busy machine, no poll may come while so short a job runs, and its start is not known.
    printed |= {line.replace("completed;", "completed after N s;") for line in printed}
    shown = [line for block in read_blocks(PAGE, "") for line in generalise(block)]
    assert shown
    assert [line for line in shown if line not in printed] == [], done.stdout
    (jobs,) = re.findall(r"^JOBS (.*)$", done.stdout, re.MULTILINE)
    assert jobs.count('"displayName"') == 2
    assert jobs.count('"acceleratorType": "NVIDIA_TESLA_T4"') == 1
    assert "too late" not in done.stdout
    assert "eyJ" not in done.stdout.partition("JOBS ")[0]
    if shutil.which("gcloud"):
        listed = re.findall(r"^projects/\S+ +JOB_STATE_SUCCEEDED$", done.stdout, re.MULTILINE)
        assert len(listed) == 2
    assert find_processes(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
