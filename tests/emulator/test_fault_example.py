"""The page about faults, and the program that it shows."""

import json
import re
import runpy
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
import requests

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "inject-faults.md").read_text("utf-8")


def block(kind: str) -> str:
    """The first block of code of a kind."""
    match = re.search(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    assert match
    return match.group(1)


def test_the_example_does_what_the_page_says(capsys: pytest.CaptureFixture[str]) -> None:
    """The example prints the page's output, and the page's code is the example's."""
    example = ROOT / "examples" / "inject_faults.py"
    runpy.run_path(str(example), run_name="__main__")
    assert capsys.readouterr().out == block("text")
    assert indent(block("python"), "    ") in example.read_text("utf-8")


def test_the_pages_request_is_understood(simulation: Any) -> None:
    """The body of the page's curl is a plan."""
    match = re.search(r"-d '(.*?)'", block("shell"), re.DOTALL)
    assert match
    body = json.loads(match.group(1))
    url = f"{simulation.emulator.url}/emulator/faults"
    assert requests.post(url, json=body, timeout=10).status_code == 200
    assert len(requests.get(url, timeout=10).json()["faults"]) == 2
    requests.delete(url, timeout=10)
