"""A fake gcloud CLI that gives prepared answers and counts its runs."""

import json
import sys
from pathlib import Path
from typing import Any

# `config` and `auth` are the commands that gcloud can run; `url` is a token endpoint,
# which makes a new token for each run, as gcloud does once a token has expired.
_PROGRAM = f"""#!{sys.executable} -SE
import json, os, sys, threading
from urllib.parse import urlencode
from urllib.request import urlopen
folder = os.path.dirname(os.path.abspath(__file__))
with open(f"{{folder}}/runs", "a") as file:
    file.write(" ".join(sys.argv[1:]) + "\\n")
with open(f"{{folder}}/answers.json") as file:
    answer = json.load(file)[sys.argv[1]]
if answer.get("hangs"):
    threading.Event().wait()
if "url" in answer:
    form = {{"grant_type": "refresh_token", "refresh_token": "r", "client_id": sys.argv[3]}}
    with urlopen(answer["url"], urlencode(form).encode(), timeout=20) as reply:
        print(json.load(reply)["access_token"])
sys.stdout.write(answer.get("output", ""))
sys.stderr.write(answer.get("errors", ""))
sys.exit(answer.get("code", 0))
"""


class FakeGcloud:
    """A program `gcloud`, logged in as ada@example.com.

    Args:
        folder: The folder of the program, which must be on PATH.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        program = folder / "gcloud"
        program.write_text(_PROGRAM, "utf-8")
        program.chmod(0o755)
        self._answers: dict[str, Any] = {}
        self.configure(core={"account": "ada@example.com", "project": "gcloud-project"})
        self.answer("auth", output="token-of-gcloud\n")

    def answer(self, command: str, **answer: Any) -> None:
        """Set what a command (`config` or `auth`) does: output, errors, code, hangs, url."""
        self._answers[command] = answer
        (self._folder / "answers.json").write_text(json.dumps(self._answers), "utf-8")

    def configure(self, **sections: Any) -> None:
        """Set what `gcloud config list` prints."""
        self.answer("config", output=json.dumps(sections))

    def mint_at(self, url: str) -> None:
        """Return tokens of an emulator."""
        self.answer("auth", url=f"{url}/token")

    @property
    def runs(self) -> list[str]:
        """The arguments of every run so far."""
        file = self._folder / "runs"
        return file.read_text("utf-8").splitlines() if file.exists() else []

    @property
    def token_runs(self) -> int:
        """The number of runs that asked for a token."""
        return sum(run.startswith("auth print-access-token") for run in self.runs)
