"""Who makes a call, by its access token. Pure."""

from dataclasses import dataclass

from vertex_emulator.core.errors import ApiError

ANONYMOUS = "anonymous"
UNKNOWN_TOKEN = "unknown token"  # noqa: S105 - a name for it, not a token
# What Google's APIs say of a token that is not valid, or no longer.
INVALID_CREDENTIALS = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login "
    "cookie or other valid authentication credential. See "
    "https://developers.google.com/identity/sign-in/web/devconsole-project."
)
EXPIRED = "ACCESS_TOKEN_EXPIRED"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call."""

    # Account that the access token was issued to; `anonymous` or `unknown token` otherwise.
    identity: str = ANONYMOUS
    # Whether the token has expired.
    is_expired: bool = False

    @property
    def bears_token(self) -> bool:
        """Whether the request bears a token at all."""
        return self.identity != ANONYMOUS

    def refuse_expired(self) -> None:
        """Refuse a token that has expired.

        Raises:
            ApiError: UNAUTHENTICATED, if it has.
        """
        if self.is_expired:
            raise ApiError("UNAUTHENTICATED", INVALID_CREDENTIALS, reason=EXPIRED)
