"""The OAuth token endpoint, and whose token a request bears.

Nothing is verified: the emulator protects nothing. It remembers who got which token,
so that a test can see who called, and refuses its own tokens once they have expired.
https://developers.google.com/identity/protocols/oauth2/service-account
"""

import base64
import binascii
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from vertex_emulator.core.clock import Clock
from vertex_emulator.core.errors import Json
from vertex_emulator.http.callers import UNKNOWN_TOKEN, Caller

# Google's access tokens last an hour.
DEFAULT_LIFETIME_SECONDS = 3600.0

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_JWT_PARTS = 3
_MAX_IDENTITY_CHARACTERS = 320


class OAuthError(Exception):
    """A refusal of the token endpoint, in OAuth's own shape (RFC 6749, section 5.2).

    Args:
        code: Such as `invalid_grant`.
        description: Text for people.
    """

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description

    def to_json(self) -> Json:
        """The body of the answer."""
        return {"error": self.code, "error_description": self.description}


@dataclass(frozen=True, slots=True)
class _Grant:
    identity: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An access token that was issued.

    Args:
        text: The token; kept out of reprs.
        expires_in: Seconds from now.
    """

    text: str = field(repr=False)
    expires_in: int


class Tokens:
    """Issues tokens and recognises them; safe to use from several threads.

    Args:
        clock: Says when a token has expired.
        lifetime: Seconds that a token lasts; more than 0.
        user_identities: Refresh token or OAuth client ID -> identity of the user. A
            refresh token that is not here stands for its client ID.
    """

    def __init__(
        self,
        clock: Clock,
        lifetime: float = DEFAULT_LIFETIME_SECONDS,
        user_identities: Mapping[str, str] | None = None,
    ) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._user_identities = dict(user_identities or {})
        self._grants: dict[str, _Grant] = {}
        self._lock = threading.Lock()

    def issue(self, identity: str) -> AccessToken:
        """A new access token for somebody."""
        text = f"ya29.emulator-{secrets.token_urlsafe(32)}"
        expires = self._clock.now() + timedelta(seconds=self._lifetime)
        with self._lock:
            self._grants[text] = _Grant(identity, expires)
        return AccessToken(text, max(1, int(self._lifetime)))

    def issue_id_token(self, identity: str, audience: str) -> str:
        """An ID token for somebody: a JWT whose signature is none."""
        now = int(self._clock.now().timestamp())
        claims = {
            "iss": "https://accounts.google.com",
            "aud": audience,
            "azp": identity,
            "sub": identity,
            "email": identity,
            "email_verified": True,
            "iat": now,
            "exp": now + max(1, int(self._lifetime)),
        }
        head = {"alg": "RS256", "kid": "emulator", "typ": "JWT"}
        parts = [json.dumps(head).encode(), json.dumps(claims).encode(), b"not a signature"]
        return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)

    def exchange(self, form: Mapping[str, str]) -> Json:
        """Answer `POST /token`.

        Args:
            form: Fields of the request.

        Raises:
            OAuthError: For a grant of another type, or one that cannot be read.
        """
        grant_type = form.get("grant_type", "")
        if grant_type == _JWT_BEARER:
            claims = read_claims(form.get("assertion", ""))
            if claims is None or not isinstance(claims.get("iss"), str):
                raise OAuthError("invalid_grant", "Invalid JWT: no claims with an issuer.")
            identity = claims["iss"][:_MAX_IDENTITY_CHARACTERS]
            if isinstance(audience := claims.get("target_audience"), str):
                return {"id_token": self.issue_id_token(identity, audience)}
            return self._answer(identity)
        if grant_type == "refresh_token":
            client_id = form.get("client_id", "")
            refresh_token = form.get("refresh_token", "")
            if not refresh_token or not client_id:
                raise OAuthError("invalid_request", "Missing refresh_token or client_id.")
            known = self._user_identities
            identity = known.get(refresh_token) or known.get(client_id) or client_id
            return {
                **self._answer(identity),
                "scope": form.get("scope", _SCOPE),
                "id_token": self.issue_id_token(identity, client_id),
            }
        raise OAuthError("unsupported_grant_type", "The emulator does not serve this grant_type.")

    def identify(self, authorization: str | None) -> Caller:
        """Whose token a request bears.

        Args:
            authorization: The header.

        Returns:
            `anonymous` without a token, `unknown token` for one that the emulator has
            not issued. A JWT that a service account has signed itself stands for its
            issuer.
        """
        scheme, _, token = (authorization or "").partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            return Caller()
        with self._lock:
            grant = self._grants.get(token)
        now = self._clock.now()
        if grant is not None:
            return Caller(grant.identity, grant.expires <= now)
        claims = read_claims(token) or {}
        if not isinstance(claims.get("iss"), str):
            return Caller(UNKNOWN_TOKEN)
        expires = claims.get("exp")
        is_expired = isinstance(expires, int | float) and expires <= now.timestamp()
        return Caller(claims["iss"][:_MAX_IDENTITY_CHARACTERS], is_expired)

    def expire(self) -> None:
        """Let every token issued so far expire now."""
        now = self._clock.now()
        with self._lock:
            for text, grant in self._grants.items():
                self._grants[text] = replace(grant, expires=min(grant.expires, now))

    def clear(self) -> None:
        """Forget every token."""
        with self._lock:
            self._grants.clear()

    def _answer(self, identity: str) -> Json:
        token = self.issue(identity)
        return {
            "access_token": token.text,
            "expires_in": token.expires_in,
            "token_type": "Bearer",
        }


def read_claims(jwt: str) -> Json | None:
    """The claims of a JWT, unverified; None for what is not a JWT."""
    parts = jwt.split(".")
    if len(parts) != _JWT_PARTS:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None
