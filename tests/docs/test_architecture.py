"""The page on the architecture shows the tree as it is, and modules keep their size limit."""

import re
from pathlib import Path

import pytest

from tests.support.pages import DOCS, ROOT, read_blocks

PAGE = DOCS / "explanation" / "architecture.md"
PACKAGES = [ROOT / "src" / "zenml_vertex", ROOT / "src" / "vertex_emulator"]
_MOST_LINES = 400


def _read_map(package: Path) -> list[Path]:
    """Return the files and folders that the page shows of a package."""
    heading = f"src/{package.name}/"
    (block,) = (text for text in read_blocks(PAGE, "") if text.startswith(heading))
    shown: list[Path] = []
    folder = package
    for line in block.splitlines()[1:]:
        names = re.split(r"\s{2,}", line.strip())[0].split(", ")
        if not line.startswith("    "):
            folder = package / names[0] if names[0].endswith("/") else package
        shown += [folder / name if folder.name != name.rstrip("/") else folder for name in names]
    return shown


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_the_map_shows_what_exists(package: Path) -> None:
    """Each file and folder on the map exists."""
    assert [path for path in _read_map(package) if not path.exists()] == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_the_map_is_complete(package: Path) -> None:
    """Each module and folder at the top of a package is on the map."""
    shown = _read_map(package)
    rooms = [
        entry
        for entry in package.iterdir()
        if entry.suffix == ".py" or (entry.is_dir() and entry.name != "__pycache__")
    ]
    assert [entry for entry in rooms if entry not in shown] == []


def test_the_modules_that_the_text_names_exist() -> None:
    """Each `folder/module.py` that the text names is in one of the packages."""
    named = set(re.findall(r"`([a-z_]+(?:/[a-z_]+)*\.py)`", PAGE.read_text("utf-8")))
    assert len(named) > 10
    assert [
        name for name in sorted(named) if not any((package / name).exists() for package in PACKAGES)
    ] == []


def test_no_module_is_too_long() -> None:
    """No module has more than 400 lines, tests included."""
    folders = ("src", "tests", "benchmarks", "campaign", "docs", "examples")
    modules = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert len(modules) > 200
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in modules
    }
    assert {name: lines for name, lines in lengths.items() if lines > _MOST_LINES} == {}
