"""Checks a credentials file before anything is built with it."""

import json
import re
from pathlib import Path
from typing import Any

from zenml_vertex.job.readers import SECRET, show_value

# Credential files that Google's libraries load, by their `type`.
CREDENTIAL_TYPES = (
    "service_account",
    "external_account",
    "external_account_authorized_user",
    "impersonated_service_account",
    "authorized_user",
)
_SERVICE_ACCOUNT_FIELDS = ("client_email", "private_key", "token_uri")
_PEM_START = "-----BEGIN "
# Enough for any file that a person has chosen.
_MOST_OF_A_PATH = 300
# What a key has and no path: in JSON, also in quotes; in PEM; over several lines.
_BEGINS_OF_KEYS = ("{", "[", '"', "'")
_PARTS_OF_KEYS = (_PEM_START, '"private_key', "\n")
# The same JSON in Base64.
_ENCODED_KEY = re.compile(r"\s*e[wy][A-Za-z0-9+/=]{200,}\s*")
_MAKE_ONE = (
    "`gcloud iam service-accounts keys create key.json --iam-account=EMAIL` makes one; then "
    "`zenml step-operator update NAME --service_account_path=/full/path/key.json`."
)


def find_key_file_problem(path: str, *, is_secret: bool = False) -> str | None:
    """What is wrong with a credentials file, with the cure; None if nothing is.

    The file's content is never part of the text, nor is a key that was given as its path.

    Args:
        path: What was given as its path.
        is_secret: Whether ZenML has looked it up in a secret.
    """
    if _is_key(path):
        return (
            "`service_account_path` is a key, not the path of one. Write the key to a file that "
            "only you can read, and its path here; where there is no file to keep it in, link a "
            "service connector: `zenml step-operator connect NAME --connector CONNECTOR`."
        )
    problem = _find_problem(path)
    shown = SECRET if is_secret else show_value(path, _MOST_OF_A_PATH)
    return f"`service_account_path` is {shown}, {problem}" if problem else None


def _is_key(path: str) -> bool:
    return (
        path.lstrip().startswith(_BEGINS_OF_KEYS)
        or any(part in path.strip() for part in _PARTS_OF_KEYS)
        or _ENCODED_KEY.fullmatch(path) is not None
    )


def _find_problem(path: str) -> str | None:
    try:
        file = Path(path).expanduser()
        if file.exists() and not file.is_file():
            # To open a pipe or a device might wait forever.
            return "which cannot be read: it is not a regular file. Give the path of the key file."
        text = file.read_bytes()
    except FileNotFoundError:
        return f"which does not exist on this machine. {_MAKE_ONE}"
    except OSError as error:
        return f"which cannot be read: {error.strerror}. Check its permissions."
    except (RuntimeError, ValueError):
        # A home that does not exist (`~somebody`), or a path with a null character.
        return f"which is not a valid path on this machine. {_MAKE_ONE}"
    try:
        return _find_content_problem(json.loads(text.decode("utf-8")))
    except (ValueError, RecursionError):
        return f"which is not JSON, so it is not a credentials file. {_MAKE_ONE}"


def _find_content_problem(content: Any) -> str | None:
    kind = content.get("type") if isinstance(content, dict) else None
    if kind not in CREDENTIAL_TYPES:
        known = "`, `".join(CREDENTIAL_TYPES)
        return (
            f"which is JSON but not a credentials file: `type` must be one of `{known}`. "
            f"{_MAKE_ONE}"
        )
    if kind != "service_account":
        return None
    missing = [
        name
        for name in _SERVICE_ACCOUNT_FIELDS
        if not isinstance(content.get(name), str) or not content[name].strip()
    ]
    if missing:
        return f"a key without `{'`, `'.join(missing)}`. {_MAKE_ONE}"
    if not content["private_key"].lstrip().startswith(_PEM_START):
        return (
            f"a key whose `private_key` is not PEM (it must start with `{_PEM_START.strip()}`). "
            f"{_MAKE_ONE}"
        )
    return None
