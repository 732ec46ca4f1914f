"""A made-up service account, whose tokens come from the Vertex AI emulator.

Google's libraries take it for a real one. Without any credentials, gcsfs looks for
a metadata server for 15 s in every process.
"""

import json
import os
import sqlite3
from configparser import ConfigParser
from contextlib import closing
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


def write_key_file(path: Path, *, project: str, token_url: str) -> None:
    """Write a service account key that only its owner can read.

    Args:
        path: Where to.
        project: Project of the account.
        token_url: URL of the OAuth token endpoint.
    """
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    content = build_key(pem.decode(), project=project, token_url=token_url)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        json.dump(content, stream, indent=2)


def activate_in_gcloud(folder: Path, key_file: Path) -> None:
    """Activate an account in gcloud, as `gcloud auth activate-service-account` does.

    gcloud takes a second and more to do it; what it writes is the same since its version 161.
    https://cloud.google.com/sdk/docs/configurations

    Args:
        folder: `CLOUDSDK_CONFIG`, which gcloud has not used yet.
        key_file: The account's key.
    """
    key = json.loads(key_file.read_text("utf-8"))
    account = key["client_email"]
    configuration = ConfigParser(interpolation=None)
    configuration["core"] = {"account": account, "project": key["project_id"]}
    configurations = folder / "configurations"
    configurations.mkdir(mode=0o700)
    with (configurations / "config_default").open("w", encoding="utf-8") as stream:
        configuration.write(stream)
    (folder / "active_config").write_text("default", "utf-8")
    store = folder / "credentials.db"
    store.touch(mode=0o600)
    with closing(sqlite3.connect(store)) as database, database:
        database.execute("CREATE TABLE credentials (account_id TEXT PRIMARY KEY, value BLOB)")
        database.execute("INSERT INTO credentials VALUES (?, ?)", (account, json.dumps(key)))


def build_key(private_key: str, *, project: str, token_url: str) -> dict[str, Any]:
    """A service account key as Google's console gives it, with every field that clients check.

    Args:
        private_key: PEM.
        project: Project of the account.
        token_url: URL of the OAuth token endpoint.
    """
    email = f"local-stack@{project}.iam.gserviceaccount.com"
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
