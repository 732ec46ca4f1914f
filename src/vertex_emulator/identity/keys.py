"""A made-up service account, which Google's libraries take for a real one."""

import json
import os
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

GOOGLE_TOKENS = "https://oauth2.googleapis.com/token"
"""Google's token endpoint, as keys name it."""


def write_key_file(
    path: Path, *, project: str, account: str = "local-stack", token_url: str = GOOGLE_TOKENS
) -> None:
    """Write a service account key that only its owner can read.

    Args:
        path: Where to.
        project: Project of the account.
        account: Name of the account in the project.
        token_url: URL of the OAuth token endpoint.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    content = build_key(pem.decode(), project=project, account=account, token_url=token_url)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=2)


def build_key(
    private_key: str, *, project: str, account: str = "local-stack", token_url: str = GOOGLE_TOKENS
) -> dict[str, Any]:
    """A service account key as Google's console gives it, with every field that clients check.

    Args:
        private_key: PEM.
        project: Project of the account.
        account: Name of the account in the project.
        token_url: URL of the OAuth token endpoint.
    """
    email = f"{account}@{project}.iam.gserviceaccount.com"
    return {
        "type": "service_account",
        "project_id": project,
        "private_key_id": "0" * 40,
        "private_key": private_key,
        "client_email": email,
        "client_id": "100000000000000000000",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": token_url,
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "client_x509_cert_url": f"https://www.googleapis.com/robot/v1/metadata/x509/{email}",
        "universe_domain": "googleapis.com",
    }
