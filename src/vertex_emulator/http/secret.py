"""Asks for the secret of the address, where there is one, before anything else reads a request."""

import logging
import re
from urllib.parse import quote

from starlette.types import ASGIApp, Receive, Scope, Send

from vertex_emulator.core.errors import ApiError
from vertex_emulator.http.address import AddressSecret
from vertex_emulator.http.messages import render_error
from vertex_emulator.http.server import CONNECTION

logger = logging.getLogger(__name__)

# What jobs ask for their tokens, as on any machine of Google's: no variable of Google's clients
# has room for a path there. Nothing there is secret, since credentials are not checked.
_METADATA = re.compile(r"/|/computeMetadata/.*", re.DOTALL)
# https://www.rfc-editor.org/rfc/rfc3986#section-3.3
_PATH_CHARACTERS = "/:@!$&'()*+,;=~"

PROVEN = "emulator.proven"
"""Key in the ASGI scope of a request whose path had the secret."""


class SecretGate:
    """Passes on what has the secret, without it. To others, there is nothing here.

    They learn neither that this is an emulator nor which paths it has, and are hung up on.

    Args:
        app: What is behind it.
        secret: The secret.
    """

    def __init__(self, app: ASGIApp, secret: AddressSecret) -> None:
        self._app = app
        self._secret = secret

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = self._secret.remove_from(scope["path"])
        if path is not None:
            scope[CONNECTION].prove()
            raw = quote(path, safe=_PATH_CHARACTERS).encode("ascii")
            await self._app({**scope, "path": path, "raw_path": raw, PROVEN: True}, receive, send)
        elif scope[CONNECTION].is_own and _METADATA.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
        else:
            # Without the path: it may be the secret with a typing error.
            logger.info("A request without the secret of the address was refused.")
            refusal = render_error(ApiError("NOT_FOUND", "Not found."))
            refusal.headers["connection"] = "close"
            await refusal(scope, receive, send)
