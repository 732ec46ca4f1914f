"""The ZenML server: which one it is, and why it does not do what is asked."""

import math
import os
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from requests import Session
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from zenml.config.global_config import GlobalConfiguration
from zenml.exceptions import AuthorizationException, CredentialsNotValid

from zenml_vertex.errors import ServerUnreachable
from zenml_vertex.foreign_text import clean_sentence, presentable

# Each takes the place of a login.
_CREDENTIALS = ("ZENML_STORE_API_KEY", "ZENML_STORE_API_TOKEN")

# ZenML's client pauses for 2, 4, 8 ... s between tries, for a minute in all if nothing listens.
_LONGEST_PAUSE_SECONDS = 10.0
_CONNECTION_TRIES = 9
_HURRY_LASTS_SECONDS = 60.0


def describe_server() -> str:
    """The server, for people to read; without the credentials that a database's URL can hold."""
    url = urlsplit(GlobalConfiguration().store_configuration.url)
    place = url.netloc.rpartition("@")[2] + url.path
    if url.scheme.startswith("http"):
        return f"the ZenML server {url.scheme}://{place}"
    # A path on this machine begins with one slash more than the URL needs.
    return f"the ZenML database {place.replace('//', '/')}"


def describe_refusal(error: Exception) -> str:
    """Why the server does not respond, or to whom it does not, and what to do."""
    if isinstance(error, CredentialsNotValid):
        server = describe_server()
        login = f"`zenml login {shlex.quote(server.rpartition(' ')[2])}` logs you in."
        if used := [name for name in _CREDENTIALS if os.environ.get(name)]:
            return (
                f"{_capitalize(server)} does not accept the credentials in {used[0]}. Set valid "
                f"ones; without {used[0]}, {login}"
            )
        return f"You are not logged in to {server}, or the login has expired. {login}"
    if isinstance(error, AuthorizationException):
        return (
            f"{_capitalize(describe_server())} does not allow this: {clean_sentence(str(error))} "
            "`zenml status` shows who you are."
        )
    # ZenML's REST store wraps the first of its requests in a RuntimeError.
    cause = error.__cause__
    reason = cause if isinstance(cause, RequestException) else error
    return (
        f"The ZenML server cannot be reached ({type(reason).__name__}). "
        "`zenml status` shows which server it is and whether it answers."
    )


@contextmanager
def server_errors() -> Iterator[None]:
    """Raise ServerUnreachable if the server cannot be reached or does not respond properly.

    ZenML's client raises RuntimeError for a status that the server does not use, such as
    that of a proxy while the server restarts.
    """
    try:
        if session := _find_session():
            shorten_pauses(session)
        yield
    except (RequestException, RuntimeError, AuthorizationException) as error:
        raise ServerUnreachable(describe_refusal(error)) from presentable(error)


def _find_session() -> Session | None:
    """The session of ZenML's client, once it has one; a store that is a database has none."""
    configuration = GlobalConfiguration()
    if not configuration.is_initialized:
        return None
    session = getattr(configuration.zen_store, "session", None)
    return session if isinstance(session, Session) else None


def shorten_pauses(session: Session) -> None:
    """Have ZenML's client try again sooner, and as often as takes the same time.

    Its pauses double up to two minutes: eight minutes after a server was back, a process that
    had waited for it could still be asleep.
    """
    for adapter in session.adapters.values():
        if not isinstance(adapter, HTTPAdapter):
            continue
        retries = adapter.max_retries
        if retries.total and retries.backoff_max > _LONGEST_PAUSE_SECONDS:
            adapter.max_retries = retries.new(
                connect=_CONNECTION_TRIES, backoff_max=_LONGEST_PAUSE_SECONDS
            )


def hurry(seconds: float) -> None:
    """Have ZenML's client wait for a server that hangs for a moment only, and try nothing again.

    For a process that is told to leave; one that goes on all the same, such as a notebook, has
    its patience back after a minute.

    Args:
        seconds: How long it waits for an answer.
    """
    session = _find_session()
    if session is None:
        return
    configuration: Any = GlobalConfiguration().zen_store.config
    patience = getattr(configuration, "http_timeout", None)
    adapters = [one for one in session.adapters.values() if isinstance(one, HTTPAdapter)]
    if patience is None or patience <= seconds:
        return
    retries = [adapter.max_retries for adapter in adapters]

    def restore() -> None:
        configuration.http_timeout = patience
        for adapter, before in zip(adapters, retries, strict=True):
            adapter.max_retries = before

    configuration.http_timeout = math.ceil(seconds)
    for adapter in adapters:
        adapter.max_retries = adapter.max_retries.new(total=0)
    timer = threading.Timer(_HURRY_LASTS_SECONDS, restore)
    timer.daemon = True
    timer.start()


def _capitalize(text: str) -> str:
    return text[:1].upper() + text[1:]
