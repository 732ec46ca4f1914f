"""`zenml-vertex emulator --as-google` as a user types it, and what it prints."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from tests.support.emulators import PARENT

MAIN = "from zenml_vertex.cli import main; main(prog_name='zenml-vertex')"
URL = f"https://us-central1-aiplatform.googleapis.com/v1/{PARENT}/customJobs"
ASK = f"import requests; print(requests.get({URL!r}, timeout=30).status_code)"


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_the_lines_that_are_printed_lead_a_shell(shell: str) -> None:
    """With nothing but what is printed, a client of that shell finds the emulator."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAIN, "emulator", "--as-google"],
        env={**os.environ, "NO_PROXY": "*"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        printed: list[str] = []
        while not printed or "listening on" not in printed[-1]:
            printed.append(process.stdout.readline())
            assert printed[-1], printed
        *block, ready = printed
        script = f"{''.join(block)}{shlex.join([sys.executable, '-c', ASK])}"
        done = subprocess.run(
            [shell, "-c", script],
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (done.stdout, done.stderr) == ("200\n", "")
        records = requests.get(f"{ready.split()[-1]}/emulator/requests", timeout=30).json()
        assert [call["status"] for call in records["requests"]] == [200]
        named = [line for line in block if "SSL_CERT_FILE" in line]
        trusted = Path(named[0].strip().partition("=")[2])
        assert trusted.exists()
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert not trusted.parent.exists()
