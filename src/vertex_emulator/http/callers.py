"""Who calls. Pure."""

from dataclasses import dataclass

from vertex_emulator.core.errors import ApiError

ANONYMOUS = "anonymous"
UNKNOWN_TOKEN = "unknown token"  # noqa: S105 - a name for it, not a token


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose access token a request bears."""

    # Whoever the token was issued to, `anonymous` without one, or `unknown token`.
    identity: str = ANONYMOUS
    # Whether the token is no longer valid.
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
            raise ApiError(
                "UNAUTHENTICATED",
                "Request had invalid authentication credentials. Expected OAuth 2 access token, "
                "login cookie or other valid authentication credential. See "
                "https://developers.google.com/identity/sign-in/web/devconsole-project.",
                reason="ACCESS_TOKEN_EXPIRED",
            )
