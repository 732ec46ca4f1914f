"""The page on troubleshooting quotes messages as they are printed."""

import importlib.util
from functools import cache
from pathlib import Path

import pytest

from tests.support.pages import DOCS, ROOT, read_blocks
from tests.support.quotes import Template, is_quoted, read_templates
from zenml_vertex.job.causes import Source, find_cause

PAGE = DOCS / "how-to" / "troubleshooting.md"
# Modules of ZenML whose messages the page quotes.
_OF_ZENML = (
    "config/compiler.py",
    "container_engines/factory.py",
    "stack/flavor.py",
    "stack/stack.py",
    "utils/settings_utils.py",
    "zen_stores/sql_zen_store.py",
)
SOURCES = (Source.JOB, Source.LOG, Source.REFUSAL)
QUOTES = read_blocks(PAGE, "")


@cache
def read_own() -> list[Template]:
    """The messages of this package."""
    return list(read_templates((ROOT / "src").rglob("*.py")))


@cache
def read_zenmls() -> list[Template]:
    """The messages of the modules of ZenML that the page quotes."""
    found = importlib.util.find_spec("zenml")
    assert found is not None
    assert found.origin is not None
    return list(read_templates(Path(found.origin).parent / name for name in _OF_ZENML))


@pytest.mark.parametrize("quote", QUOTES, ids=lambda quote: quote[:40])
def test_every_message_is_printed_by_somebody(quote: str) -> None:
    """A message on the page is one of this package, of ZenML, or of Vertex AI's known texts."""
    assert (
        is_quoted(quote, read_own())
        or any(find_cause(source, " ".join(quote.split())) for source in SOURCES)
        or is_quoted(quote, read_zenmls())
    )


@pytest.mark.parametrize(
    "quote",
    [
        "there is no setting `machine_typ`. Do you mean `machine_type`?",
        "The job does not run while reading it.",
        "`zenml-vertex jobs list` shows everything...",
        "...",
    ],
)
def test_a_message_that_nobody_prints_is_noticed(quote: str) -> None:
    """A reworded message, or one that only fills gaps, fails the test above."""
    assert not is_quoted(quote, [*read_own(), *read_zenmls()])
