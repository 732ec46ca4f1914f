"""The OAuth token endpoint, and whose token a request bears.

Nothing is verified: the emulator protects nothing. Its tokens say who got them, so that a test
can see who called, and until when they are valid, so that they are refused once they have expired.
Nothing of them is kept: however many are issued, they take up no memory.
https://developers.google.com/identity/protocols/oauth2/service-account
"""

import base64
import binascii
import hmac
import json
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from vertex_emulator.core.clock import Clock
from vertex_emulator.core.errors import Json
from vertex_emulator.http.callers import UNKNOWN_TOKEN, Caller

# Google's access tokens last an hour.
DEFAULT_LIFETIME_SECONDS = 3600.0

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SCOPE = "https://www.googleapis.com/auth/cloud-platform"
_JWT_PARTS = 3
_MAX_IDENTITY_CHARACTERS = 320
_PREFIX = "ya29.emulator-"
_DIGEST_BYTES = 32


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
    """What a token says.

    Args:
        identity: Whose it is.
        number: How many were issued before it.
        expires: POSIX time.
    """

    identity: str
    number: int
    expires: float


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
        self._lock = threading.Lock()
        self._key = secrets.token_bytes()
        self._issued = 0
        # The first so many tokens have expired.
        self._expired = 0

    def issue(self, identity: str) -> AccessToken:
        """A new access token for somebody."""
        expires = (self._clock.now() + timedelta(seconds=self._lifetime)).timestamp()
        with self._lock:
            number = self._issued
            self._issued += 1
            text = _write_token(
                _Grant(identity[:_MAX_IDENTITY_CHARACTERS], number, expires), self._key
            )
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
        now = self._clock.now().timestamp()
        with self._lock:
            grant = _read_token(token, self._key)
            if grant is not None:
                is_expired = grant.number < self._expired or grant.expires <= now
                return Caller(grant.identity, is_expired)
        claims = read_claims(token) or {}
        if not isinstance(claims.get("iss"), str):
            return Caller(UNKNOWN_TOKEN)
        expires = claims.get("exp")
        is_expired = isinstance(expires, int | float) and expires <= now
        return Caller(claims["iss"][:_MAX_IDENTITY_CHARACTERS], is_expired)

    def expire(self) -> None:
        """Let every token issued so far expire now."""
        with self._lock:
            self._expired = self._issued

    def clear(self) -> None:
        """Forget every token."""
        with self._lock:
            self._key = secrets.token_bytes()

    def _answer(self, identity: str) -> Json:
        token = self.issue(identity)
        return {
            "access_token": token.text,
            "expires_in": token.expires_in,
            "token_type": "Bearer",
        }


def _write_token(grant: _Grant, key: bytes) -> str:
    content = json.dumps([grant.identity, grant.number, grant.expires]).encode()
    signed = hmac.digest(key, content, "sha256") + content
    return _PREFIX + base64.urlsafe_b64encode(signed).decode()


def _read_token(token: str, key: bytes) -> _Grant | None:
    """What a token says; None for one that was not signed with this key."""
    if not token.startswith(_PREFIX):
        return None
    try:
        signed = base64.b64decode(token.removeprefix(_PREFIX), b"-_", validate=True)
    except ValueError:
        return None
    digest, content = signed[:_DIGEST_BYTES], signed[_DIGEST_BYTES:]
    if not hmac.compare_digest(digest, hmac.digest(key, content, "sha256")):
        return None
    return _Grant(*json.loads(content))


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
