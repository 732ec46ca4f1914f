from pathlib import Path

from vertex_emulator.coverage import build_page
from vertex_emulator.http.routes import ROUTES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "emulator-coverage.md"


def test_the_page_is_printed_by_the_program() -> None:
    """The page in docs/ is what `python -m vertex_emulator.coverage` prints."""
    assert PAGE.read_text(encoding="utf-8") == build_page()


def test_the_page_is_honest() -> None:
    """Every route is on it, and so is that nobody has compared it with Google Cloud."""
    page = build_page()
    assert "not been compared with Google Cloud" in " ".join(page.replace("*", "").split())
    for route in ROUTES:
        assert f"`{route.method} {route.path}`" in page
