"""Which pages the local stack's ZenML server answers."""

import pytest

from zenml_vertex.local_stack.programs.zenml_server import find_foreign_page

HOST = ("host", "127.0.0.1:8237")


@pytest.mark.parametrize(
    "headers",
    [
        [HOST, ("origin", "http://127.0.0.1:9999")],
        [HOST, ("origin", "https://evil.example")],
        [HOST, ("origin", "null")],
        [HOST, ("origin", "https://127.0.0.1:8237")],
        [HOST, ("origin", "http://127.0.0.1:8237"), ("origin", "https://evil.example")],
        [HOST, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
        [HOST, ("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")],
        [("host", "evil.example:8237"), ("origin", "http://evil.example:8237")],
        [HOST, ("host", "evil.example")],
        [],
    ],
)
def test_a_page_of_another_server_is_refused(headers: list[tuple[str, str]]) -> None:
    """A page in a browser where the dashboard is logged in could act as its user.

    Its origin was reflected, with the permission to use the login; a page whose name was made
    to resolve to loopback needed none.
    """
    assert find_foreign_page(headers) is not None


@pytest.mark.parametrize(
    "headers",
    [
        [HOST],
        [("host", "localhost:8237"), ("origin", "http://localhost:8237")],
        [HOST, ("origin", "http://127.0.0.1:8237"), ("sec-fetch-site", "same-origin")],
        [HOST, ("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
        [HOST, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")],
    ],
)
def test_programs_the_dashboard_and_links_to_it_are_answered(
    headers: list[tuple[str, str]],
) -> None:
    """ZenML's client, the server's own pages, an address that is typed and a link all work."""
    assert find_foreign_page(headers) is None
