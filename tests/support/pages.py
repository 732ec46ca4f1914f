"""The pages of the documentation, and the contents of their code blocks."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
_BESIDE_DOCS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES = sorted([*_BESIDE_DOCS, *DOCS.rglob("*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def read_blocks(page: Path, language: str) -> list[str]:
    """Return a page's code blocks in a language; "" selects those without one: output."""
    found = _FENCE.findall(page.read_text("utf-8"))
    return [text for name, text in found if name == language]


def read_commands(page: Path) -> list[str]:
    """Return every line of a code block and every code span, with continued lines joined."""
    text = page.read_text("utf-8").replace("\\\n", " ")
    lines = [line for _, block in _FENCE.findall(text) for line in block.splitlines()]
    spans = [" ".join(span.split()) for span in _CODE_SPAN.findall(_FENCE.sub("", text))]
    return [*lines, *spans]


def generalise(output: str) -> list[str]:
    """Return the lines of an output without its numbers and the width of its gaps."""
    return [
        re.sub(r"\d+(?:\.\d+)?", "N", re.sub(r"\s+", " ", line)).strip()
        for line in output.splitlines()
    ]


def read_picture(picture: Path) -> list[str]:
    """Return the lines of text of a terminal's picture, as rich draws them."""
    lines: dict[str, list[tuple[float, str]]] = {}
    for text in ET.parse(picture).iter("{http://www.w3.org/2000/svg}text"):
        if "clip-path" in text.attrib:
            piece = (float(text.attrib["x"]), (text.text or "").replace("\xa0", " "))
            lines.setdefault(text.attrib["y"], []).append(piece)
    return ["".join(piece for _, piece in sorted(pieces)).rstrip() for pieces in lines.values()]
