"""The address of an emulator, with a secret in it if others can reach it. Pure.

`http://HOST:PORT/secret=SECRET`: every client can be pointed at an address with a path, and none
has to know that there is a secret in it. Spelt `secret=`, it is found by what removes secrets
from logs.
"""

import hmac
import re
from ipaddress import ip_address

# 128 bits in Base64, as `token_urlsafe(16)` writes them.
_LEAST_CHARACTERS = 22
_BEGIN = "/secret="
_SECRET = re.compile(rf"[A-Za-z0-9_-]{{{_LEAST_CHARACTERS},256}}")


class WeakSecretError(ValueError):
    """A secret that could be guessed, or cannot be part of an address."""

    def __init__(self) -> None:
        super().__init__(
            f"A secret in the address has {_LEAST_CHARACTERS} to 256 letters, digits, `-` and `_`. "
            'This makes one: python3 -c "import secrets; print(secrets.token_urlsafe(24))"'
        )


class AddressSecret:
    """A secret as part of an address; not in its repr.

    Args:
        value: The secret.

    Raises:
        WeakSecretError: If it could be guessed, or cannot be part of a path.
    """

    def __init__(self, value: str) -> None:
        if not _SECRET.fullmatch(value):
            raise WeakSecretError
        self.path = f"{_BEGIN}{value}"

    def remove_from(self, path: str) -> str | None:
        """The path of a request without the secret; None if it does not begin with it.

        How long that takes says nothing about the secret.
        """
        begin, rest = path[: len(self.path)], path[len(self.path) :]
        is_same = hmac.compare_digest(begin.encode("utf-8", "replace"), self.path.encode("ascii"))
        # Twice, as by a client that joins two addresses, it would be in the path of a record.
        if not is_same or rest[:1] not in {"", "/"} or rest.startswith(_BEGIN):
            return None
        return rest or "/"


class Address:
    """Where an emulator listens.

    Args:
        ip: IP address.
        port: Port.
        secret: What others must know.
    """

    def __init__(self, ip: str, port: int, secret: AddressSecret | None = None) -> None:
        self._ip = ip
        self.port = port
        self._path = secret.path if secret else ""

    @property
    def host(self) -> str:
        """`host:port`, and the secret."""
        return f"{self._spell(self._ip)}{self._path}"

    @property
    def own_host(self) -> str:
        """`host:port` on this machine, without the secret."""
        if not ip_address(self._ip).is_unspecified:
            return self._spell(self._ip)
        return self._spell("::1" if ":" in self._ip else "127.0.0.1")

    def _spell(self, ip: str) -> str:
        return f"[{ip}]:{self.port}" if ":" in ip else f"{ip}:{self.port}"
