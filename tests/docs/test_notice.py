"""NOTICE names where the data come from."""

import re

import yaml

from tests.support.pages import ROOT

DATA = ROOT / "src" / "zenml_vertex" / "data" / "machine_accelerators.yaml"


def test_the_notice_names_every_source_of_the_data() -> None:
    """Each source in the data file has its line in NOTICE, with the address that the file has."""
    notice = (ROOT / "NOTICE").read_text("utf-8")
    sources = yaml.safe_load(DATA.read_text("utf-8"))["sources"]
    assert len(sources) > 5
    for name, source in sources.items():
        assert re.search(rf"^{name} ", notice, re.MULTILINE), name
        for address in re.findall(r"https://\S+|github\.com/[\w-]+/[\w-]+", source):
            assert re.search(rf"{re.escape(address)}$", notice, re.MULTILINE), address
