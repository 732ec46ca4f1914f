"""The request on the documentation page about faults."""

import json
import re
from pathlib import Path
from typing import Any

import requests

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "inject-faults.md"


def test_the_request_on_the_page_is_accepted(simulation: Any) -> None:
    """The body of the page's curl command is a valid plan of faults."""
    match = re.search(r"-d '(.*?)'", PAGE.read_text("utf-8"), re.DOTALL)
    assert match
    body = json.loads(match.group(1))
    url = f"{simulation.emulator.url}/emulator/faults"
    assert requests.post(url, json=body, timeout=10).status_code == 200
    assert len(requests.get(url, timeout=10).json()["faults"]) == 2
    requests.delete(url, timeout=10)
