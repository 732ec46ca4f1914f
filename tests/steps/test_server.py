"""Why the ZenML server does not do what is asked, in words that can be shown."""

import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from requests import Session
from urllib3.exceptions import ProtocolError
from urllib3.util import Retry
from zenml.exceptions import AuthorizationException
from zenml.zen_stores.rest_zen_store import RestZenStore

from zenml_vertex.errors import ServerUnreachable
from zenml_vertex.steps import server
from zenml_vertex.steps.server import hurry, server_errors, shorten_pauses


def test_what_the_server_says_can_be_shown() -> None:
    """A server, or a proxy that answers for it, cannot steer the terminal or show a token."""
    said = "Not allowed\x1b]0;title\x07\nfor Bearer hunter2"
    with pytest.raises(ServerUnreachable) as raised, server_errors():
        raise AuthorizationException(said)
    assert "allow this: Not allowed for Bearer ***. `zenml status` shows" in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_client_notices_soon_that_its_server_is_back() -> None:
    """ZenML's client slept for up to two minutes between two tries, after eight errors in a row."""
    config = SimpleNamespace(verify_ssl=True, connection_pool_size=1)
    store = SimpleNamespace(_session_lock=threading.RLock(), _session=None, config=config)
    with vars(RestZenStore)["session"].fget(store) as session:
        shorten_pauses(session)
        retries = session.get_adapter("https://zenml.example.com").max_retries
    pauses = []
    for _ in range(8):
        retries = retries.increment("GET", "/", error=ProtocolError("silent"))
        pauses.append(retries.get_backoff_time())
    assert max(pauses) == 10.0


def test_a_client_that_leaves_waits_for_its_server_for_a_moment_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A process that had left its step sat out minutes of ZenML's own tries before it ended.

    One that lives on, such as a notebook, has its patience back after a while.
    """
    restored = threading.Event()

    class Timer:
        def __init__(self, seconds: float, restore: Callable[[], None]) -> None:
            assert seconds == 60
            self.start = restore if restored.is_set() else lambda: None

    monkeypatch.setattr(threading, "Timer", Timer)
    with Session() as session:
        config = SimpleNamespace(http_timeout=30)
        store = SimpleNamespace(session=session, config=config)
        configuration = SimpleNamespace(is_initialized=True, zen_store=store)
        monkeypatch.setattr(server, "GlobalConfiguration", lambda: configuration)
        adapter: Any = session.get_adapter("https://zenml.example.com")
        adapter.max_retries = before = Retry(total=10)
        restored.set()
        hurry(2.5)
        assert (config.http_timeout, adapter.max_retries) == (30, before)
        restored.clear()
        hurry(2.5)
        assert (config.http_timeout, adapter.max_retries.total) == (3, 0)
