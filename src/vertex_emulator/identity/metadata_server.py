"""The metadata server of a Google machine, as code in a job finds it.

https://cloud.google.com/compute/docs/metadata/predefined-metadata-keys. A job's
machine stands in a project of Google's own, whose ID ends in `-tp`. One server
serves all jobs, so every job has the same service account here, whatever its
`serviceAccount` says.
"""

from collections.abc import Mapping
from typing import Any

from vertex_emulator.core.errors import Json
from vertex_emulator.identity.tokens import Tokens

HEADER, FLAVOR = "Metadata-Flavor", "Google"
TENANT_PROJECT = "emulator-tp"
TENANT_NUMBER = "100000000001"
SERVICE_ACCOUNT = f"service-{TENANT_NUMBER}@gcp-sa-aiplatform-cc.iam.gserviceaccount.com"
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


def read_metadata(path: str, query: Mapping[str, str], tokens: Tokens) -> Any:
    """The value at a path.

    Args:
        path: Path below `/computeMetadata/v1/`.
        query: Parameters of the request.
        tokens: Issues the tokens.

    Returns:
        A text, or an object to be written as JSON; None where there is nothing.
    """
    parts = [part for part in path.split("/") if part]
    if parts[:2] == ["instance", "service-accounts"] and parts[2:3] in (
        ["default"],
        [SERVICE_ACCOUNT],
    ):
        return _read_account(parts[3:], query, tokens)
    value: Any = _tree()
    for part in parts:
        value = value.get(part) if isinstance(value, dict) else None
    if not isinstance(value, dict):
        return value
    return value if _is_recursive(query) else _list_keys(value)


def _read_account(parts: list[str], query: Mapping[str, str], tokens: Tokens) -> Any:
    account: Json = {"aliases": ["default"], "email": SERVICE_ACCOUNT, "scopes": list(_SCOPES)}
    if not parts:
        keys = {**account, "identity": "", "token": ""}
        return account if _is_recursive(query) else _list_keys(keys)
    if len(parts) > 1:
        return None
    if parts[0] == "token":
        token = tokens.issue(SERVICE_ACCOUNT)
        return {
            "access_token": token.text,
            "expires_in": token.expires_in,
            "token_type": "Bearer",
        }
    if parts[0] == "identity":
        audience = query.get("audience")
        return tokens.issue_id_token(SERVICE_ACCOUNT, audience) if audience else None
    value = account.get(parts[0])
    return "\n".join(value) + "\n" if isinstance(value, list) else value


def _tree() -> Json:
    account = {"aliases": ["default"], "email": SERVICE_ACCOUNT, "scopes": list(_SCOPES)}
    return {
        "instance": {"service-accounts": {"default": account, SERVICE_ACCOUNT: account}},
        "project": {"project-id": TENANT_PROJECT, "numeric-project-id": TENANT_NUMBER},
        "universe": {"universe-domain": "googleapis.com", "universe_domain": "googleapis.com"},
    }


def _is_recursive(query: Mapping[str, str]) -> bool:
    return query.get("recursive", "").lower() == "true"


def _list_keys(value: Json) -> str:
    return "".join(
        f"{key}/\n" if isinstance(item, dict) else f"{key}\n" for key, item in value.items()
    )
