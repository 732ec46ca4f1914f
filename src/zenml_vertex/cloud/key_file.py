"""Checks a credentials file before anything is built with it."""

import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from zenml_vertex.cloud.endpoint import (
    GOOGLE,
    advise_consent,
    is_allowed,
    is_loopback,
    is_within,
)
from zenml_vertex.errors import CredentialsError
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
_ROOT = 0
_NAME = re.compile(r"[a-z][a-z0-9_]{0,60}")
# Stricter than any library that reads one: of an odd spelling, two may find two hosts.
_HOST_PATTERN = r"[a-z0-9][a-z0-9._-]{0,252}|\[[0-9a-f:.]{2,45}\]"
_HOST = re.compile(_HOST_PATTERN, re.ASCII | re.IGNORECASE)
_URL = re.compile(
    rf"(?P<scheme>https?)://(?P<host>{_HOST_PATTERN})(?::[0-9]{{1,5}})?(?:[/?#][^\s\\]*)?",
    re.ASCII | re.IGNORECASE,
)
# The `token_uri` of older keys.
_OLD_TOKENS = "accounts.google.com"
# What a `credential_source` has that asks a server for a token, and nothing else.
_SOURCE_IS_URL = frozenset({"url", "headers", "format"})
_NAME_IT_HERE = (
    "If you trust it as it is, run `export GOOGLE_APPLICATION_CREDENTIALS=KEY_FILE` with its path "
    "where the pipeline is started."
)
_MAKE_ONE = (
    "`gcloud iam service-accounts keys create key.json --iam-account=EMAIL` makes one; then "
    "`zenml step-operator update NAME --service_account_path=/full/path/key.json`."
)


def find_key_file_problem(path: str, *, is_secret: bool = False) -> str | None:
    """What is wrong with a credentials file, with the cure; None if nothing is.

    The file's content is never part of the text but for names of hosts, nor is a key that was
    given as its path.

    Args:
        path: What was given as its path.
        is_secret: Whether ZenML has looked it up in a secret.
    """
    try:
        read_key_file(path, is_secret=is_secret)
    except CredentialsError as error:
        return str(error)
    return None


def read_key_file(path: str, *, is_secret: bool = False) -> dict[str, Any]:
    """The content of a credentials file, read once: whoever may exchange it comes too late.

    Args:
        path: What was given as its path.
        is_secret: Whether ZenML has looked it up in a secret.

    Raises:
        CredentialsError: As `find_key_file_problem` says.
    """
    if _is_key(path):
        raise CredentialsError(
            "`service_account_path` is a key, not the path of one. Write the key to a file that "
            "only you can read, and its path here; where there is no file to keep it in, link a "
            "service connector: `zenml step-operator connect NAME --connector CONNECTOR`."
        )
    try:
        return _read(path)
    except _Unusable as unusable:
        shown = SECRET if is_secret else show_value(path, _MOST_OF_A_PATH)
        raise CredentialsError(f"`service_account_path` is {shown}, {unusable}") from None


class _Unusable(Exception):
    """What is wrong with a file, as the end of a sentence, and its cure."""


def _is_key(path: str) -> bool:
    return (
        path.lstrip().startswith(_BEGINS_OF_KEYS)
        or any(part in path.strip() for part in _PARTS_OF_KEYS)
        or _ENCODED_KEY.fullmatch(path) is not None
    )


def _read(path: str) -> dict[str, Any]:
    try:
        file = Path(path).expanduser()
        if file.exists() and not file.is_file():
            # To open a pipe or a device might wait forever.
            raise _Unusable(
                "which cannot be read: it is not a regular file. Give the path of the key file."
            )
        with file.open("rb") as stream:
            status, text = os.fstat(stream.fileno()), stream.read()
    except FileNotFoundError:
        raise _Unusable(f"which does not exist on this machine. {_MAKE_ONE}") from None
    except OSError as error:
        raise _Unusable(f"which cannot be read: {error.strerror}. Check its permissions.") from None
    except (RuntimeError, ValueError):
        # A home that does not exist (`~somebody`), or a path with a null character.
        raise _Unusable(f"which is not a valid path on this machine. {_MAKE_ONE}") from None
    is_own = _is_named_by_machine(file)
    try:
        content = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        raise _Unusable(
            f"which is not JSON, so it is not a credentials file. {_MAKE_ONE}"
        ) from None
    problem = _find_content_problem(content)
    if not problem and not is_own:
        problem = find_foreign_reach(content, os.environ) or _find_steered(content, status)
    if problem:
        raise _Unusable(problem)
    return dict(content)


def _find_steered(content: Mapping[str, Any], status: os.stat_result) -> str | None:
    """What is wrong with credentials that ask other servers, in a file that others can write.

    A plain key asks Google alone. In a container that root runs, and on a Windows disk in WSL,
    it is often another user's, or open to all.
    """
    if content["type"] == "service_account" or not (others := find_other_writers(status)):
        return None
    return (
        f"a file that {others} can write, who then could choose which server gets what it is "
        f"exchanged for. Run `chmod 600` on it, or on a copy of your own. {_NAME_IT_HERE}"
    )


def _is_named_by_machine(file: Path) -> bool:
    """Whether the person at this machine has named the file, and not only a shared setting."""
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    try:
        return bool(named) and Path(named).resolve() == file.resolve()
    except (OSError, RuntimeError, ValueError):
        return False


def find_other_writers(status: os.stat_result) -> str:
    """Who can write a file besides this process's user and root, for people; empty if nobody.

    Args:
        status: The file's.
    """
    if os.name == "nt":
        # Its files have no such owner and mode.
        return ""
    if status.st_uid not in {os.geteuid(), _ROOT}:
        return f"another user (uid {status.st_uid})"
    if status.st_mode & stat.S_IWOTH:
        return "every user of this machine"
    if status.st_mode & stat.S_IWGRP and not _is_private(status.st_gid):
        return f"a group of users (gid {status.st_gid})"
    return ""


def _is_private(group_id: int) -> bool:
    """Whether a group is that of this process's user alone, as many systems make one for each."""
    import grp
    import pwd

    try:
        group, user = grp.getgrgid(group_id), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    if group_id == _ROOT or (group.gr_name, group_id) != (user.pw_name, user.pw_gid):
        return False
    # A group's list of members leaves out those whose primary group it is.
    others = (other.pw_name for other in pwd.getpwall() if other.pw_gid == group_id)
    return {*group.gr_mem, *others} <= {user.pw_name}


def find_foreign_reach(content: Mapping[str, Any], environ: Mapping[str, str]) -> str | None:
    """What a credentials file would do that a shared setting must not decide; None if nothing.

    A file of credentials names the servers that are sent tokens, signatures and even files of
    this machine: https://cloud.google.com/docs/authentication/external/externally-sourced-credentials.

    Args:
        content: The file's.
        environ: Environment of this process.
    """
    universe = str(content.get("universe_domain") or GOOGLE)
    if universe != GOOGLE and not is_allowed(universe, environ):
        if not _HOST.fullmatch(universe):
            return f"whose `universe_domain` is not a domain. {_MAKE_ONE}"
        return (
            f"a file whose `universe_domain` is `{universe}`, which is not Google's. "
            f"{advise_consent(universe)}; otherwise set another file."
        )
    for name, value in _iter_fields(content):
        if name == "credential_source" and isinstance(value, dict):
            if value.keys() - _SOURCE_IS_URL:
                return (
                    "a file that has a file, a program or the environment of this machine read for "
                    "a token (`credential_source`), which a setting that others share cannot ask "
                    f"for. {_NAME_IT_HERE}"
                )
        elif isinstance(value, str) and "://" in value:
            url = _URL.fullmatch(value)
            if url is None:
                return f"a file whose `{name}` is not a plain address. {_MAKE_ONE}"
            if not _is_trusted(url["scheme"], url["host"], universe, environ):
                return (
                    f"a file whose `{name}` is at `{url['scheme']}://{url['host']}`, which is not "
                    "Google's and would get tokens, or what they are made from. "
                    f"{advise_consent(url['host'])}; otherwise set another file."
                )
    return None


def _is_trusted(scheme: str, host: str, universe: str, environ: Mapping[str, str]) -> bool:
    if is_loopback(host) or is_allowed(host, environ):
        return True
    is_googles = host.lower() == _OLD_TOKENS or is_within(host, GOOGLE) or is_within(host, universe)
    return is_googles and scheme.lower() == "https"


def _iter_fields(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Every value within a file, however deep, with the name of the field that it is in."""
    found: list[tuple[str, Any]] = list(content.items())
    while found:
        name, value = found.pop()
        yield name if _NAME.fullmatch(name) else "field", value
        if isinstance(value, dict):
            found += value.items()
        elif isinstance(value, list):
            found += [(name, item) for item in value]


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
