"""Counts the requests of a container, by whom they are sent to.

Python imports a module of this name from PYTHONPATH when it starts. `pipelines/timed.py`
puts this folder there on demand.
"""

import atexit
import http.client
import os
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import aiohttp

_VARIABLES = {"ZENML_STORE_URL": "server", "STORAGE_EMULATOR_HOST": "storage"}
_NAMES = {
    urlsplit(os.environ[variable]).netloc: name
    for variable, name in _VARIABLES.items()
    if variable in os.environ
}
_counts: Counter[str] = Counter()


def describe() -> str:
    """The counts by now."""
    return f"server {_counts['server']}, storage {_counts['storage']}"


def _count(place: str) -> None:
    _counts[_NAMES.get(place, "other")] += 1


def _install() -> None:
    connection: Any = http.client.HTTPConnection
    session: Any = aiohttp.ClientSession
    put, request = connection.putrequest, session._request

    def put_counted(self: Any, *arguments: Any, **options: Any) -> Any:
        _count(f"{self.host}:{self.port}")
        return put(self, *arguments, **options)

    async def request_counted(self: Any, method: str, url: Any, **options: Any) -> Any:
        _count(urlsplit(str(url)).netloc)
        return await request(self, method, url, **options)

    connection.putrequest, session._request = put_counted, request_counted


_install()
atexit.register(lambda: print(f"requests in all: {describe()}", flush=True))
