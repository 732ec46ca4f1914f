"""A claim in Cloud Storage, with the client that ZenML's artifact store uses."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import gcsfs
import pytest
from gcsfs.retry import HttpError

from zenml_vertex.container.artifact_store_claim import (
    BucketClaim,
    FileClaim,
    can_create_exclusively,
    open_claim,
)
from zenml_vertex.container.claim import ClaimStore
from zenml_vertex.job.identity import Replica
from zenml_vertex.local_stack.processes.loopback import open_listener, url_of
from zenml_vertex.local_stack.programs.storage_server import build_server

REPLICA = Replica.read("5f2c", {})


class CountedFileSystem(gcsfs.GCSFileSystem):  # type: ignore[misc]
    """Cloud Storage as ZenML's artifact store opens it, and its requests.

    Args:
        url: Where it is.
    """

    def __init__(self, url: str) -> None:
        super().__init__(token="anon", endpoint_url=url, skip_instance_cache=True)
        self.requests: list[str] = []

    async def _request(self, method: str, *arguments: Any, **options: Any) -> Any:
        self.requests.append(method)
        return await super()._request(method, *arguments, **options)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a storage emulator with an empty bucket `a-bucket`."""
    listener = open_listener()
    with build_server(listener, ["a-bucket"]) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield url_of(listener)
        server.shutdown()
        thread.join()


def open_on(filesystem: object) -> ClaimStore:
    """The claim of a replica in a bucket."""
    store = SimpleNamespace(
        path="gs://a-bucket", filesystem=filesystem, remove=getattr(filesystem, "rm_file", None)
    )
    return open_claim(cast("Any", store), REPLICA)


def test_each_call_is_one_request(url: str) -> None:
    """A container that starts asks once, and a renewal, a look and the removal cost one each."""
    filesystem = CountedFileSystem(url)
    claim = open_on(filesystem)
    assert isinstance(claim, BucketClaim)
    assert claim.create("one")
    assert filesystem.requests == ["POST"]
    claim.write("two")
    assert claim.read() == "two"
    claim.remove()
    assert filesystem.requests == ["POST", "POST", "GET", "DELETE"]
    assert claim.read() is None
    claim.remove()


def test_of_many_containers_one_creates_the_claim(url: str) -> None:
    """The bucket decides who was first, and the others do not overwrite that claim."""
    claim = open_on(CountedFileSystem(url))
    with ThreadPoolExecutor(8) as pool:
        created = list(pool.map(lambda number: claim.create(str(number)), range(8)))
    assert created.count(True) == 1
    assert claim.read() == str(created.index(True))
    claim.remove()


def test_a_client_that_cannot_create_exclusively_is_not_trusted_with_it() -> None:
    """Another store, and a gcsfs that would overwrite the claim, keep the claim that is read."""

    class Older:
        protocol = ("gs", "gcs")

        def pipe_file(self, path: str, value: bytes, **options: object) -> None:
            raise AssertionError((path, value, options))

    assert can_create_exclusively(gcsfs.GCSFileSystem(token="anon", skip_instance_cache=True))
    for filesystem in (Older(), SimpleNamespace(protocol=("s3", "s3a")), None):
        claim = open_on(filesystem)
        assert isinstance(claim, FileClaim)
        assert not claim.is_exclusive


class AnsweredFileSystem:
    """Cloud Storage with one object of many gigabytes, or an empty one, and its gcsfs."""

    protocol = ("gs", "gcs")

    def __init__(self, size: int) -> None:
        self.size = size

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite") -> None:
        raise AssertionError((path, value, mode))

    def cat_file(self, path: str, start: int | None = None, end: int | None = None) -> bytes:
        assert start == 0, path
        assert end, "gcsfs reads the whole object"
        if not self.size:
            raise HttpError({"code": 416, "message": "Requested range not satisfiable"})
        return b"x" * min(end, self.size)


@pytest.mark.parametrize("size", [2**40, 0])
def test_of_a_huge_claim_only_the_beginning_is_read(size: int) -> None:
    """Nobody fills a container's memory through the bucket; an empty claim is a text, too."""
    read = open_on(AnsweredFileSystem(size)).read()
    assert read is not None
    assert len(read) == min(size, 4096)


def test_of_a_huge_claim_in_a_file_only_the_beginning_is_read(tmp_path: Path) -> None:
    """The same in an artifact store of any other kind."""
    path = tmp_path / "claim"
    with path.open("wb") as file:
        file.truncate(2**26)
    store = cast("Any", SimpleNamespace(open=open))
    assert len(FileClaim(store, str(path)).read() or "") == 4096
