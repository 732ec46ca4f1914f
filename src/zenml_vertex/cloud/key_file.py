"""Service account key files: is this one, before anything is built with it."""

import json
from pathlib import Path

# Credential files that Google's libraries load, by their `type`.
CREDENTIAL_TYPES = (
    "service_account",
    "external_account",
    "impersonated_service_account",
    "authorized_user",
)
_SERVICE_ACCOUNT_FIELDS = ("client_email", "private_key", "token_uri")
_MAKE_ONE = (
    "`gcloud iam service-accounts keys create key.json --iam-account=EMAIL` makes one; then "
    "`zenml step-operator update NAME --service_account_path=/full/path/key.json`."
)


def find_key_file_problem(path: str) -> str | None:
    """What keeps the file from being used as credentials, with the cure; None if nothing does.

    The file's content is never part of the answer.
    """
    subject = f"`service_account_path` is `{path}`"
    try:
        content = json.loads(Path(path).expanduser().read_text(encoding="utf-8"))
    except FileNotFoundError:
        return f"{subject}, and there is no such file on this machine. {_MAKE_ONE}"
    except OSError as error:
        return f"{subject}, which cannot be read: {error.strerror}. Check its permissions."
    except ValueError:
        return f"{subject}, which is not JSON and so no key. {_MAKE_ONE}"
    kind = content.get("type") if isinstance(content, dict) else None
    if kind not in CREDENTIAL_TYPES:
        return f"{subject}, which is JSON but no key: its `type` is {kind!r}. {_MAKE_ONE}"
    if kind == "service_account":
        missing = [name for name in _SERVICE_ACCOUNT_FIELDS if not content.get(name)]
        if missing:
            return f"{subject}, a key without `{'`, `'.join(missing)}`. {_MAKE_ONE}"
    return None
