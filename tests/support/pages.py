"""The pages of the documentation, and the contents of their code blocks."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *DOCS.rglob("*.md")])

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
    return [re.sub(r"\d+", "N", re.sub(r"\s+", " ", line)).strip() for line in output.splitlines()]
