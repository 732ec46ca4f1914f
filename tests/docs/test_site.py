"""The site has every page once, and its links lead to what the pages link to."""

import re
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt

from docs.site.build import (
    BrokenLinkError,
    build,
    find_examples,
    find_foreign,
    find_pages,
    lay_out,
    main,
    make_navigation,
    move_links,
)
from tests.support.pages import PAGES, ROOT

_MOVED = {
    "README.md": "index.md",
    "docs/how-to/gpus.md": "how-to/gpus.md",
    "docs/explanation/scale.md": "explanation/scale.md",
    "benchmarks/RESULTS.md": "reference/measurements.md",
    "examples": "reference/examples.md",
    "examples/gpu_step.py": "reference/examples.md",
}


def _find_places(entries: list[Any]) -> list[str]:
    """The pages of a navigation, in order."""
    places: list[str] = []
    for entry in entries:
        for below in entry.values() if isinstance(entry, dict) else [entry]:
            places += _find_places(below) if isinstance(below, list) else [below]
    return places


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder from which the site is built."""
    folder = tmp_path_factory.mktemp("site")
    lay_out(ROOT, folder)
    return folder


def test_the_navigation_has_every_page_once(laid_out: Path) -> None:
    """Each page of the site is in the navigation exactly once."""
    settings = yaml.safe_load((laid_out / "mkdocs.yml").read_text("utf-8"))
    pages = laid_out / "pages"
    written = [
        str(page.relative_to(pages)).replace("decisions/index.md", "decisions/README.md")
        for page in pages.rglob("*.md")
    ]
    assert len(written) > 30
    assert sorted(_find_places(settings["nav"])) == sorted(written)


def test_the_navigation_is_the_four_kinds_of_page() -> None:
    """Behind the start there are the sections of docs/README.md, with the decisions in the last."""
    navigation = make_navigation(ROOT, find_pages(ROOT))
    assert [title for section in navigation for title in section] == [
        "Start",
        "Tutorial",
        "How-to",
        "Reference",
        "Explanation",
    ]
    decisions = navigation[-1]["Explanation"][-1]["Decisions"]
    assert decisions[0] == "decisions/README.md"
    assert "decisions/0002-api-json.md" in _find_places(decisions)


def test_every_page_has_a_title(laid_out: Path) -> None:
    """Each page begins with its title, which search and browser show."""
    for page in laid_out.rglob("*.md"):
        assert page.read_text("utf-8").startswith("# "), page


@pytest.mark.parametrize(
    ("page", "link", "moved"),
    [
        ("README.md", "docs/how-to/gpus.md#cuda-in-the-image", "how-to/gpus.md#cuda-in-the-image"),
        ("docs/explanation/scale.md", "../how-to/gpus.md", "../how-to/gpus.md"),
        (
            "docs/explanation/scale.md",
            "../../benchmarks/RESULTS.md",
            "../reference/measurements.md",
        ),
        ("benchmarks/RESULTS.md", "../docs/explanation/scale.md", "../explanation/scale.md"),
        (
            "docs/how-to/gpus.md",
            "../../examples/gpu_step.py",
            "../reference/examples.md#gpu-step-py",
        ),
        ("README.md", "examples", "reference/examples.md"),
        ("README.md", "#limits", "#limits"),
        ("README.md", "https://docs.zenml.io/stacks", "https://docs.zenml.io/stacks"),
    ],
)
def test_links_follow_their_files(page: str, link: str, moved: str) -> None:
    """A link leads to where its file is on the site; anchors and addresses stay."""
    assert move_links(f"a [b]({link}) c", page, _MOVED) == f"a [b]({moved}) c"


def test_code_is_left_as_it_is() -> None:
    """What looks like a link in a code block is shown as it is written."""
    code = "```python\nhandlers[name](event)\n```\n"
    assert move_links(f"{code}[x](examples)\n{code}", "README.md", _MOVED) == (
        f"{code}[x](reference/examples.md)\n{code}"
    )


def test_a_link_to_a_file_that_the_site_lacks_is_refused() -> None:
    """The error names the page and the link."""
    with pytest.raises(BrokenLinkError, match=r"README\.md links to Makefile, which the site"):
        move_links("[targets](Makefile)", "README.md", _MOVED)


def test_every_example_is_on_the_site(laid_out: Path) -> None:
    """The page of examples shows every file in full, and links reach each by its anchor."""
    page = (laid_out / "pages" / "reference" / "examples.md").read_text("utf-8")
    for name in find_examples(ROOT):
        assert (ROOT / name).read_text("utf-8") in page
    anchors = re.findall(r"\{ #(\S+) \}", page)
    assert len(anchors) == len(set(anchors)) == len(find_examples(ROOT))
    assert {"gpu-step-py", "yaml-settings-config-yaml"} <= set(anchors)


def test_nothing_is_loaded_from_elsewhere() -> None:
    """A script, a font or an image of another server is noticed; a link to one is not."""
    script = "https://unpkg.com/iframe-worker/shim"
    assert find_foreign(f'<script src="{script}"></script>') == [script]
    font = "https://fonts.googleapis.com/css?family=Roboto"
    assert find_foreign(f'<link rel="stylesheet" href="{font}">') == [font]
    assert find_foreign('<img alt="x" src="//example.com/a.png">') == ["//example.com/a.png"]
    assert find_foreign('<a href="https://zenml.io">x</a><script src="assets/a.js">') == []


@pytest.mark.parametrize(("environment", "returned"), [({}, 0), ({"CI": "1"}, 1)])
def test_a_python_without_the_builder_is_told(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    environment: dict[str, str],
    returned: int,
) -> None:
    """On Python 3.10 the command names the way to a site, and CI does not pass without one."""
    monkeypatch.setattr("docs.site.build.find_spec", lambda _: None)
    monkeypatch.delenv("CI", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main() == returned
    assert "make docs PYTHON=python3.13 VENV=.venv-docs" in capsys.readouterr().out


@pytest.mark.skipif(find_spec("zensical") is None, reason="the builder takes Python 3.11")
def test_a_broken_link_stops_the_build(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A link to a page or a heading that does not exist is named, and nothing is built."""
    lay_out(ROOT, tmp_path)
    page = tmp_path / "pages" / "how-to" / "gpus.md"
    broken = "[one](no-such-page.md), [another](credentials.md#no-such-heading)\n"
    page.write_text(page.read_text("utf-8") + broken, "utf-8")
    assert build(tmp_path) != 0
    said = capfd.readouterr()
    output = re.sub(r"\x1b\[[\d;]*m", "", said.out + said.err)
    assert "page does not exist" in output
    assert "anchor does not exist" in output
    assert "2 issues found" in output


def _count_elements(html: str) -> Counter[str]:
    return Counter(re.findall(r"<(ul|ol|li|h\d|pre|tr|blockquote|img|strong|em|p)\b", html))


@pytest.mark.parametrize(
    "page",
    [*PAGES, ROOT / "CHANGELOG.md", ROOT / "benchmarks" / "RESULTS.md"],
    ids=lambda page: str(page.relative_to(ROOT)).replace("/", "-"),
)
def test_the_site_reads_a_page_as_the_repository_does(page: Path) -> None:
    """Lists, tables and code are the same for the site and for CommonMark.

    The site's Markdown wants an empty line before a list, and four spaces before what else
    belongs to an entry.
    """
    markdown = pytest.importorskip("markdown", reason="the builder takes Python 3.11")
    settings = yaml.safe_load((ROOT / "docs" / "site" / "mkdocs.yml").read_text("utf-8"))
    extensions = [
        name if isinstance(name, str) else next(iter(name))
        for name in settings["markdown_extensions"]
    ]
    text = page.read_text("utf-8")
    repository = MarkdownIt("commonmark").enable("table").render(text)
    site = markdown.markdown(text, extensions=extensions)
    assert _count_elements(site) == _count_elements(repository)
