"""Builds the documentation as a site: `make docs`.

The pages are written to be read in the repository, where they link to files beside docs/ too:
examples, measurements, the changelog. For the site, all of them are laid out in one folder, with
links that lead to where each file is there. The navigation is the list in docs/README.md, and
below it the one in docs/decisions/README.md, so that a new page is named in one place.
"""

import os
import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
# Zensical wants the site inside the folder of its configuration.
FOLDER = ROOT / ".cache" / "site"
EXAMPLES = "reference/examples.md"

# Files outside docs/ -> where they are on the site. Files of docs/ keep their places.
_PLACES = {
    "README.md": "index.md",
    "docs/README.md": "all-pages.md",
    "CONTRIBUTING.md": "how-to/contributing.md",
    "SECURITY.md": "how-to/report-a-vulnerability.md",
    "CHANGELOG.md": "reference/changelog.md",
    "benchmarks/RESULTS.md": "reference/measurements.md",
    "benchmarks/results.json": "reference/results.json",
    "LICENSE": "reference/license.txt",
    "examples": EXAMPLES,
}
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(\]\()([^)#:\s]+)(#[^)\s]*)?(\))")
_ENTRY = re.compile(r"^- \[(.+)\]\((.+)\)$")
_SECTION = re.compile(r"^\*\*(.+)\*\*$")
_LOADED = re.compile(
    r"""<(?:script|img|iframe)\b[^>]*\bsrc=["']((?:https?:)?//[^"']+)"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preload|icon))[^>]*\bhref=["'](https?://[^"']+)"""
)
# Kinds of files of docs/ that the site shows.
_SHOWN = (".md", ".svg", ".css")
# Ends of names, or whole names.
_LANGUAGES = {".py": "python", ".yaml": "yaml", ".md": "markdown", "Dockerfile": "docker"}


class BrokenLinkError(Exception):
    """A page links to a file that the site does not have."""


def find_pages(root: Path) -> dict[str, str]:
    """Every file that the site shows as it is: its path in the repository -> on the site."""
    docs = {
        f"docs/{path.relative_to(root / 'docs').as_posix()}": path.relative_to(root / "docs")
        for path in sorted((root / "docs").rglob("*"))
        if path.suffix in _SHOWN
    }
    return {**{name: path.as_posix() for name, path in docs.items()}, **_PLACES}


def find_examples(root: Path) -> list[str]:
    """Paths of the examples' files in the repository."""
    return [
        path.relative_to(root).as_posix()
        for path in sorted((root / "examples").rglob("*"))
        if path.is_file() and (path.suffix or path.name) in _LANGUAGES
    ]


def move_links(text: str, page: str, pages: Mapping[str, str]) -> str:
    """Lead a page's links to where the files are on the site.

    Args:
        text: the page, in Markdown. Its code blocks are left as they are.
        page: its path in the repository.
        pages: path in the repository -> path on the site, of every file that has one.

    Raises:
        BrokenLinkError: if the site does not have a file to which the page links.
    """

    def move(match: re.Match[str]) -> str:
        before, link, anchor, after = match.groups()
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page), link))
        moved = pages.get(target)
        if moved is None:
            raise BrokenLinkError(
                f"{page} links to {link}, which the site does not have. Link to a page or an "
                "example, or give the file a place in docs/site/build.py."
            )
        if target.startswith("examples/"):
            anchor = f"#{_anchor_of(target)}"
        relative = posixpath.relpath(moved, posixpath.dirname(pages[page]) or ".")
        return f"{before}{relative}{anchor or ''}{after}"

    parts, end = [], 0
    for fence in _FENCE.finditer(text):
        parts += [_LINK.sub(move, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, _LINK.sub(move, text[end:])])


def read_navigation(index: str, page: str, pages: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the sections of an index page and their entries, as MkDocs has them in `nav`.

    Args:
        index: the index page, in Markdown.
        page: its path in the repository.
        pages: path in the repository -> path on the site.
    """
    sections: list[dict[str, Any]] = []
    entries: list[dict[str, Any]] = []
    for line in index.splitlines():
        if section := _SECTION.match(line):
            entries = []
            sections.append({section[1]: entries})
        elif entry := _ENTRY.match(line):
            target = posixpath.normpath(posixpath.join(posixpath.dirname(page), entry[2]))
            entries.append({entry[1].replace("`", ""): pages[target]})
    return sections or entries


def make_navigation(root: Path, pages: Mapping[str, str]) -> list[dict[str, Any]]:
    """The navigation: the start, and the sections of docs/README.md with the decisions."""
    index, decisions = (
        read_navigation((root / page).read_text("utf-8"), page, pages)
        for page in ("docs/README.md", "docs/decisions/README.md")
    )
    (last,) = index[-1].values()
    (title,) = last.pop()
    last.append({title: [pages["docs/decisions/README.md"], *decisions]})
    start = [{"Overview": pages["README.md"]}, {"All pages": pages["docs/README.md"]}]
    return [{"Start": start}, *index]


def write_examples(root: Path, files: list[str]) -> str:
    """One page with every example."""
    sections = [
        f"## {path.as_posix()} {{ #{_anchor_of(name)} }}\n\n"
        f"```{_LANGUAGES[path.suffix or path.name]}\n{(root / name).read_text('utf-8')}```\n"
        for name in files
        for path in [Path(name).relative_to("examples")]
    ]
    head = "# Examples\n\nEach runs as it is, and the tests run it.\n"
    return "\n".join([head, *sections])


def _anchor_of(example: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", example.removeprefix("examples/"))


def lay_out(root: Path, folder: Path) -> None:
    """Write the site's pages, its files and its configuration to a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    pages = find_pages(root)
    examples = find_examples(root)
    linkable = pages | dict.fromkeys(examples, EXAMPLES)
    for page, place in pages.items():
        target = folder / "pages" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if place == EXAMPLES:
            target.write_text(write_examples(root, examples), "utf-8")
        elif page.endswith(".md"):
            text = move_links((root / page).read_text("utf-8"), page, linkable)
            target.write_text(text, "utf-8")
        else:
            shutil.copyfile(root / page, target)
    settings = yaml.safe_load((root / "docs" / "site" / "mkdocs.yml").read_text("utf-8"))
    settings |= {
        "docs_dir": "pages",
        "site_dir": "html",
        "nav": make_navigation(root, pages),
    }
    (folder / "mkdocs.yml").write_text(yaml.safe_dump(settings, sort_keys=False), "utf-8")


def find_foreign(html: str) -> list[str]:
    """Addresses elsewhere from which a page would load scripts, styles or images by itself."""
    return [source or style for source, style in _LOADED.findall(html)]


def build(folder: Path) -> int:
    """Build the site that is laid out in a folder, into its folder `html`.

    Returns:
        0, or what the program returned that found a broken link or another fault: every warning
        is an error.
    """
    command = [sys.executable, "-m", "zensical", "build", "--strict", "--clean"]
    built = subprocess.run(command, cwd=folder, check=False)
    if built.returncode:
        return built.returncode
    pages = {page: page.read_text("utf-8") for page in sorted((folder / "html").rglob("*.html"))}
    foreign = {page.name: found for page, text in pages.items() if (found := find_foreign(text))}
    for page, found in foreign.items():
        sys.stderr.write(f"{page} loads {', '.join(found)}\n")
    return 1 if foreign else 0


def main() -> int:
    """Lay the pages out and build the site."""
    if find_spec("zensical") is None:
        sys.stdout.write(
            "docs: SKIPPED, the site takes Python 3.11 or newer: "
            "make docs PYTHON=python3.13 VENV=.venv-docs\n"
        )
        return 1 if os.environ.get("CI") else 0
    try:
        lay_out(ROOT, FOLDER)
    except BrokenLinkError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    returned = build(FOLDER)
    if returned == 0:
        html = (FOLDER / "html").relative_to(ROOT)
        sys.stdout.write(
            f"The site is in {html}. Its search takes a server: "
            f"python3 -m http.server --bind 127.0.0.1 --directory {html}\n"
        )
    return returned


if __name__ == "__main__":
    sys.exit(main())
