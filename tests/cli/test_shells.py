"""`zenml-vertex` between a shell and a terminal: completion, and output that cannot be written."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

_PROGRAM = "from zenml_vertex.cli import main; main(prog_name='zenml-vertex')"
_COMPLETION = (
    "import atexit, json, sys\n"
    "atexit.register(lambda: print(json.dumps(list(sys.modules)), file=sys.stderr))\n" + _PROGRAM
)


def _run(
    script: str, *arguments: str, variables: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["bash", "-c", script, sys.executable, *arguments],
        env={**os.environ, **(variables or {})},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("redirection", "status", "errors"),
    [
        ("| head -n 1 >/dev/null; exit ${PIPESTATUS[0]}", (0, 1), ""),
        (">/dev/full", (1,), "Error: The output cannot be written: No space left on device.\n"),
        (">&-", (0,), ""),
    ],
)
def test_output_that_nobody_reads_is_no_traceback(
    redirection: str, status: tuple[int, ...], errors: str
) -> None:
    """A closed pipe, a closed stdout and a full disk end the command quietly, or in a sentence."""
    done = _run(f'"$0" -c "$1" -h {redirection}', _PROGRAM)
    assert done.returncode in status
    assert done.stderr == errors


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("zenml-vertex jobs ", ["plain,attach", "plain,cancel", "plain,list", "plain,settle"]),
        ("zenml-vertex local-stack python pip", ["file,pip"]),
    ],
)
def test_completion_is_quick(typed: str, offered: list[str]) -> None:
    """The shell is given commands and files without an import of ZenML or Google's client."""
    words = typed.split(" ")
    done = _run(
        '"$0" -c "$1"',
        _COMPLETION,
        variables={
            "_ZENML_VERTEX_COMPLETE": "bash_complete",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(len(words) - 1),
        },
    )
    assert done.stdout.splitlines() == offered
    imported = set(json.loads(done.stderr))
    assert not imported & {
        "zenml",
        "google.auth",
        "google.cloud.aiplatform_v1",
        "pydantic",
        "starlette",
    }
