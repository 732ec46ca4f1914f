"""Whom the storage emulator answers: a step runs the code archive that lies there."""

import json
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import requests

from tests.support.users import as_nobody, needs_root
from zenml_vertex.local_stack.processes.loopback import open_listener, url_of
from zenml_vertex.local_stack.programs.storage_server import build_server

ARCHIVE = "code/archive.tar.gz"
OURS = b"the code of the step"


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    """The address of a storage emulator with an empty bucket `a-bucket`."""
    listener = open_listener()
    url = url_of(listener)
    with build_server(listener, ["a-bucket"]) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield url
        server.shutdown()
        thread.join()


@pytest.fixture
def url(server_url: str) -> str:
    """The address of a storage emulator whose bucket has a step's code."""
    assert upload(server_url, OURS).status_code == 200
    return server_url


def upload(url: str, content: bytes, **headers: str) -> requests.Response:
    """Upload a code archive in the simplest way, which a page can imitate."""
    return requests.post(
        f"{url}/upload/storage/v1/b/a-bucket/o",
        params={"uploadType": "media", "name": ARCHIVE},
        data=content,
        headers={"Content-Type": "text/plain", **headers},
        timeout=10,
    )


def read(url: str, **options: Any) -> requests.Response:
    """Read the code archive."""
    return requests.get(f"{url}/a-bucket/{ARCHIVE}", timeout=10, **options)


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:8237"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Mode": "no-cors"},
        {"Host": "evil.example"},
        {"Host": "metadata.google.internal"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "multipart/form-data; boundary=x"},
    ],
)
def test_a_web_page_replaces_no_code(url: str, headers: dict[str, str]) -> None:
    """A page that was open in a browser replaced a code archive, and the next run executed it."""
    answer = upload(url, b"theirs", **headers)
    (header,) = headers
    assert answer.status_code == 403
    assert header in answer.text
    assert read(url).content == OURS
    if header != "Content-Type":
        assert read(url, headers=headers).status_code == 403


def test_nothing_empties_the_storage(url: str) -> None:
    """An image in a page, whose address was `/wipe`, emptied all buckets."""
    for path in ("/wipe", "/wipe?keep-buckets=1", "//wipe", "/wipe/"):
        assert requests.get(url + path, timeout=10).status_code in {404, 501}
    assert read(url).content == OURS


@needs_root
def test_another_user_reads_and_replaces_nothing(url: str) -> None:
    """Any user of the machine could read models and data, and replace the code of the next step."""
    with as_nobody():
        for _ in range(3):
            answer = read(url)
            assert (answer.status_code, OURS in answer.content) == (403, False)
            assert "this is the user 65534 (nobody)" in answer.text
            # The answer does not wait for the body, so that sending it may fail.
            try:
                status = upload(url, b"theirs").status_code
            except requests.ConnectionError:
                status = 403
            assert status == 403
    assert read(url).content == OURS


@needs_root
@pytest.mark.parametrize("name", ["jürgen", "j\udcfcrgen"])
def test_a_user_of_any_name_is_refused(
    url: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A user whose name is not ASCII ended the server by connecting to it."""
    monkeypatch.setattr("pwd.getpwuid", lambda _: SimpleNamespace(pw_name=name))
    with as_nobody():
        answer = read(url)
    assert answer.status_code == 403
    assert f"this is the user 65534 ({name})".encode("utf-8", "backslashreplace") in answer.content
    assert read(url).content == OURS


def test_a_browser_learns_nothing_from_a_preflight(url: str) -> None:
    """A page asks before it sends a PUT, and no answer allows it."""
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "PUT"}
    answer = requests.options(f"{url}/a-bucket/{ARCHIVE}", headers=headers, timeout=10)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in {name.lower() for name in answer.headers}


def test_what_the_artifact_store_asks_is_answered(url: str) -> None:
    """Uploads in two parts, metadata, lists and deletes of programs are served."""
    parts = (
        b'--x\r\nContent-Type: application/json\r\n\r\n{"name": "m.json"}\r\n'
        b"--x\r\nContent-Type: application/octet-stream\r\n\r\n{}\r\n--x--"
    )
    answer = requests.post(
        f"{url}/upload/storage/v1/b/a-bucket/o?uploadType=multipart",
        data=parts,
        headers={"Content-Type": "multipart/related; boundary=x"},
        timeout=10,
    )
    assert answer.status_code == 200
    listed = requests.get(f"{url}/storage/v1/b/a-bucket/o", timeout=10).json()["items"]
    assert {item["name"] for item in listed} == {ARCHIVE, "m.json"}
    assert json.loads(requests.get(f"{url}/a-bucket/m.json", timeout=10).content) == {}
    assert requests.delete(f"{url}/storage/v1/b/a-bucket/o/m.json", timeout=10).ok
