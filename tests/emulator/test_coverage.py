import runpy
from pathlib import Path

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


def test_the_coverage_page_is_complete() -> None:
    """The page lists every route, and says that no one has compared it with Google Cloud."""
    page = (REFERENCE / "emulator-coverage.md").read_text(encoding="utf-8")
    generator = runpy.run_path(str(REFERENCE / "generate_emulator_coverage.py"))
    assert "not been compared with Google Cloud" in " ".join(page.replace("*", "").split())
    for route in generator["declared_routes"]():
        assert f"`{route.method} {route.path}`" in page
