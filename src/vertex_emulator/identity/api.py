"""The routes of the OAuth token endpoint and of the metadata server."""

from typing import Any
from urllib.parse import parse_qsl

from vertex_emulator.http.messages import ApiRequest, Reply
from vertex_emulator.http.routes import Api, Service, route
from vertex_emulator.identity import metadata_server
from vertex_emulator.identity.tokens import OAuthError, Tokens

_METADATA_HEADERS = {
    metadata_server.HEADER: metadata_server.FLAVOR,
    "Server": "Metadata Server for VM",
}


class TokenApi(Api):
    """The OAuth token endpoint.

    Args:
        tokens: Issues tokens.
    """

    # RFC 6749, section 4.1.3: a form.
    service = Service("OAuth", takes_json=False)

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    @route(
        "POST",
        "/token",
        "simplified",
        "`jwt-bearer` (the signature is not verified) and `refresh_token`. Use it as "
        "`token_uri` of a key.",
        fault_method="token",
    )
    def exchange_token(self, request: ApiRequest) -> Any:
        """An access token for a grant; RFC 6749."""
        try:
            form = dict(parse_qsl(request.body.decode("utf-8")))
            return self._tokens.exchange(form)
        except OAuthError as refusal:
            return Reply(refusal.to_json(), status=400)
        except UnicodeDecodeError:
            return Reply({"error": "invalid_request"}, status=400)

    def reset(self) -> None:
        self._tokens.clear()


class MetadataApi(Api):
    """The metadata server of a Google machine.

    Args:
        tokens: Issues the service account's tokens.
    """

    service = Service("Metadata server", names=("metadata.google.internal",))

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    @route("GET", "/", note="What libraries ping.")
    def ping_metadata(self, request: ApiRequest) -> Any:
        """Whether there is a metadata server."""
        del request
        return Reply("computeMetadata/\n", headers=_METADATA_HEADERS)

    @route(
        "GET",
        "/computeMetadata/v1/{path:path}",
        "simplified",
        "Service account (token, identity, email, scopes, aliases), project and universe. "
        "Every job has the same account.",
        fault_method="metadata",
    )
    def read_metadata(self, request: ApiRequest) -> Any:
        """The value at a path."""
        if request.headers.get(metadata_server.HEADER.lower()) != metadata_server.FLAVOR:
            text = f"Missing {metadata_server.HEADER}:{metadata_server.FLAVOR} header."
            return Reply(text, status=403, headers=_METADATA_HEADERS)
        value = metadata_server.read_metadata(request.path["path"], request.query, self._tokens)
        if value is None:
            return Reply("not found", status=404, headers=_METADATA_HEADERS)
        return Reply(value, headers=_METADATA_HEADERS)
