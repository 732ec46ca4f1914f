"""The login to a stack's own registry: whoever replaces an image there runs code in the engine."""

import base64
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import bcrypt

USER = "local-stack"
HTPASSWD_VARIABLE = "ZENML_VERTEX_REGISTRY_HTPASSWD"
"""How the line of the file of passwords gets to the registry's process: not by a command line."""

# Enough for a password that nobody can guess; more would take the registry time at each request.
_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class RegistryLogin:
    """The only user of a registry."""

    password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)

    @property
    def headers(self) -> Mapping[str, str]:
        """What a request bears."""
        return {"Authorization": f"Basic {self._encode()}"}

    def build_htpasswd(self) -> str:
        """The line of the registry's file of passwords, which takes bcrypt only.

        https://distribution.github.io/distribution/about/configuration/#htpasswd
        """
        hashed = bcrypt.hashpw(self.password.encode(), bcrypt.gensalt(_ROUNDS))
        return f"{USER}:{hashed.decode()}\n"

    def write(self, folder: Path, registry: str) -> None:
        """Log the stack's Docker clients in, as `docker login` does.

        Args:
            folder: Configuration of the clients; what a file there says already is dropped.
            registry: `host:port`.
        """
        content = {"auths": {registry: {"auth": self._encode()}}}
        path = folder / "config.json"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(content, stream)

    def _encode(self) -> str:
        return base64.b64encode(f"{USER}:{self.password}".encode()).decode()
