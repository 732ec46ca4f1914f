"""A ZenML server that does not respond while a step runs is waited for.

ZenML's client gives up after a minute, and what a step has computed for hours would be lost. It
also pauses for up to two minutes between two tries, so that it is late when the server is back.
"""

import logging
import os
import threading
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectionError as NoConnection
from requests.exceptions import Timeout
from zenml.config.global_config import GlobalConfiguration

from zenml_vertex.clock import Clock
from zenml_vertex.job.times import format_duration

# For how many seconds the container waits; set on the job.
OUTAGE_VARIABLE = "ZENML_VERTEX_SERVER_OUTAGE_SECONDS"
# What proxies and overloaded servers say, and ZenML's client tries again too.
_UNAVAILABLE = (408, 429, 502, 503, 504)
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 10.0

logger = logging.getLogger(__name__)


class ServerOutageError(NoConnection):
    """The ZenML server has not responded for as long as the step may wait for it."""


class _ThreadsOutage(threading.local):
    """What one thread has seen of the server."""

    since: float | None = None
    pause = _FIRST_PAUSE_SECONDS


class Outage:
    """The times in which the server does not respond, of each thread.

    A report is given up in time though heartbeats, or other requests, get answers meanwhile.

    Args:
        clock: Where time comes from.
        patience: How long the server is waited for, in seconds; 0 or more.
    """

    def __init__(self, clock: Clock, patience: float) -> None:
        self._clock = clock
        self._patience = patience
        self._own = _ThreadsOutage()

    def wait(self, reason: str, since: float | None) -> float:
        """Sleep until the next try.

        Args:
            reason: What the last one has shown.
            since: When this request found that the server does not respond; None if just now.

        Returns:
            When that was.

        Raises:
            ServerOutageError: If the patience is spent.
        """
        own, now = self._own, self._clock.monotonic()
        if own.since is None:
            own.since, own.pause = now if since is None else since, _FIRST_PAUSE_SECONDS
            logger.warning(
                "The ZenML server does not respond (%s). Trying again for up to %s "
                "(`server_outage_seconds`).",
                reason,
                format_duration(self._patience),
            )
        left = own.since + self._patience - now
        if left <= 0:
            raise ServerOutageError(
                f"The ZenML server has not responded for {format_duration(now - own.since)} "
                f"({reason}), and the step could not report to it. See that the server is up, and "
                "run the step again; the setting `server_outage_seconds` is how long a step waits."
            )
        pause = min(own.pause, left)
        own.pause = min(2 * own.pause, _LONGEST_PAUSE_SECONDS)
        began = own.since
        self._clock.sleep(pause)
        return began

    def end(self) -> None:
        """The server has responded."""
        if self._own.since is not None:
            lasted = format_duration(self._clock.monotonic() - self._own.since)
            logger.warning("The ZenML server responds again, after %s.", lasted)
        self._own.since = None


class PatientAdapter(HTTPAdapter):
    """Sends a request again until the server responds.

    ZenML marks each request, so that the server carries out once what it gets twice.

    Args:
        outage: Says how long.
    """

    def __init__(self, outage: Outage, **options: Any) -> None:
        super().__init__(**options)
        self._outage = outage

    def send(self, request: PreparedRequest, *arguments: Any, **options: Any) -> Response:
        since = None
        while True:
            try:
                response = super().send(request, *arguments, **options)
            except (NoConnection, Timeout) as error:
                since = self._outage.wait(type(error).__name__, since)
                continue
            if response.status_code not in _UNAVAILABLE:
                self._outage.end()
                return response
            response.close()
            since = self._outage.wait(f"status {response.status_code}", since)


def outlast_outages(clock: Clock) -> None:
    """Have ZenML's client wait for a server that does not respond, as long as the job allows."""
    seconds = os.environ.get(OUTAGE_VARIABLE, "")
    if not seconds.isdecimal():
        return
    # A module that the client imports for a server only.
    from zenml.zen_stores import rest_zen_store

    outage = Outage(clock, float(seconds))

    def build_adapter(*, max_retries: object, **options: Any) -> PatientAdapter:
        del max_retries
        return PatientAdapter(outage, **options)

    # ZenML makes its session anew at times.
    vars(rest_zen_store)["HTTPAdapter"] = build_adapter
    configuration = GlobalConfiguration()
    if configuration.is_initialized and isinstance(
        store := configuration.zen_store, rest_zen_store.RestZenStore
    ):
        store.reinitialize_session()
