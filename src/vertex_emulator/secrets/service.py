"""Secrets and their versions, kept in the store.

https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets
"""

import base64
import binascii
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from vertex_emulator.core.clock import Clock
from vertex_emulator.core.documents import DocumentStore
from vertex_emulator.core.errors import ApiError, Json, invalid_argument
from vertex_emulator.core.names import parse_project
from vertex_emulator.core.pages import read_page_size, read_page_token, write_page_token
from vertex_emulator.core.times import format_time, parse_duration, parse_time

COLLECTION = "secrets"
# https://cloud.google.com/secret-manager/quotas
MAX_PAYLOAD_BYTES = 64 * 1024
_MAX_LABELS = 64
_DEFAULT_PAGE, _LARGEST_PAGE = 100, 25_000
# The store has a region in every name; a secret has none.
_REGION = "global"

_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_LABEL = re.compile(r"[^\W_A-Z][\w-]{0,62}")
_FILTER = re.compile(r'name:"?([A-Za-z0-9_-]+)"?')
_KNOWN = {"replication", "labels", "annotations", "ttl", "expireTime", "topics", "etag"}


class Secrets:
    """The secrets of all projects.

    Args:
        store: Keeps them.
        clock: Says when they expire.
    """

    def __init__(self, store: DocumentStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.RLock()

    def create(self, project: str, secret_id: str, body: Json) -> Json:
        """Create a secret without versions."""
        number = parse_project(project)
        if not _ID.fullmatch(secret_id):
            raise invalid_argument("`secretId` must have 1 to 255 letters, digits, `_` or `-`.")
        self._check(body)
        now = self._clock.now()
        secret = {key: value for key, value in body.items() if key not in ("ttl", "etag")}
        secret |= {"name": f"projects/{number}/secrets/{secret_id}", "createTime": format_time(now)}
        if "ttl" in body:
            secret["expireTime"] = format_time(now + _read_ttl(body["ttl"]))
        with self._lock:
            if self._read(number, secret_id) is not None:
                raise ApiError("ALREADY_EXISTS", f"Secret [{secret['name']}] already exists.")
            self._store.put(_key(number, secret_id), {"secret": secret, "versions": []})
        return secret

    def list(self, project: str, query: Mapping[str, str]) -> Json:
        """A page of secrets, by name; never a payload."""
        number = parse_project(project)
        text = query.get("filter", "")
        wanted = _FILTER.fullmatch(text)
        if text and wanted is None:
            raise invalid_argument("The emulator supports only filters such as `name:PART`.")
        size = read_page_size(query.get("pageSize") or 0, _DEFAULT_PAGE, _LARGEST_PAGE)
        after = read_page_token(query.get("pageToken", ""), number, text)
        found = sorted(
            (
                secret
                for secret in self._all(number)
                if wanted is None or wanted[1] in secret["name"].rpartition("/")[2]
            ),
            key=lambda secret: str(secret["name"]),
        )
        rest = [secret for secret in found if after is None or secret["name"] > after[0]]
        page: Json = {"secrets": rest[:size], "totalSize": len(found)}
        if len(rest) > size:
            last = rest[size - 1]["name"]
            page["nextPageToken"] = write_page_token((last, ""), number, text)
        return page

    def get(self, project: str, secret_id: str) -> Json:
        """A secret, without its payload."""
        secret: Json = self._find(parse_project(project), secret_id)["secret"]
        return secret

    def find_labels(self, project: str, secret_id: str) -> Json:
        """The labels of a secret, for the fault plan; empty if the secret does not exist."""
        with suppress(ApiError):
            labels: Json = self.get(project, secret_id).get("labels", {})
            return labels
        return {}

    def delete(self, project: str, secret_id: str) -> Json:
        """Delete a secret and all its versions."""
        number = parse_project(project)
        with self._lock:
            self._find(number, secret_id)
            self._store.remove(_key(number, secret_id))
        return {}

    def add_version(self, project: str, secret_id: str, body: Json) -> Json:
        """Add a version with a payload."""
        number = parse_project(project)
        payload = body.get("payload")
        data = payload.get("data") if isinstance(payload, dict) else None
        try:
            size = len(base64.b64decode(data or "", validate=True))
        except (binascii.Error, TypeError, ValueError):
            raise invalid_argument("`payload.data` must be base64.") from None
        if not 0 < size <= MAX_PAYLOAD_BYTES:
            raise invalid_argument(
                "The field [payload.data] has an invalid size: "
                f"must be 1 to {MAX_PAYLOAD_BYTES} bytes."
            )
        with self._lock:
            kept = self._find(number, secret_id)
            versions = [*kept["versions"], {"data": data, "time": format_time(self._clock.now())}]
            self._store.put(_key(number, secret_id), {**kept, "versions": versions})
        return _describe_version({**kept, "versions": versions}, len(versions))

    def list_versions(self, project: str, secret_id: str, query: Mapping[str, str]) -> Json:
        """A page of a secret's versions, the newest first, without their payloads."""
        project_number = parse_project(project)
        if query.get("filter"):
            raise invalid_argument("The emulator does not support filters of versions.")
        size = read_page_size(query.get("pageSize") or 0, _DEFAULT_PAGE, _LARGEST_PAGE)
        before = read_page_token(query.get("pageToken", ""), project_number, secret_id)
        kept = self._find(project_number, secret_id)
        count = len(kept["versions"])
        newest = min(int(before[0]) - 1, count) if before else count
        oldest = max(newest - size, 0)
        page: Json = {
            "versions": [_describe_version(kept, one) for one in range(newest, oldest, -1)],
            "totalSize": count,
        }
        if oldest:
            position = (str(oldest + 1), "")
            page["nextPageToken"] = write_page_token(position, project_number, secret_id)
        return page

    def access(self, project: str, secret_id: str, version: str) -> Json:
        """A version with its payload."""
        kept = self._find(parse_project(project), secret_id)
        versions = kept["versions"]
        number = len(versions) if version == "latest" else _read_number(version)
        name = f"{kept['secret']['name']}/versions/{version}"
        if not 0 < number <= len(versions):
            raise ApiError("NOT_FOUND", f"Secret Version [{name}] not found.")
        return {
            "name": f"{kept['secret']['name']}/versions/{number}",
            "payload": {"data": versions[number - 1]["data"]},
        }

    def clear(self) -> None:
        """Forget every secret."""
        for name, _ in list(self._store.items(COLLECTION)):
            self._store.remove(name)

    def _all(self, number: str) -> Iterator[Json]:
        for name, _ in list(self._store.items(COLLECTION)):
            parts = name.split("/")
            kept = self._read(number, parts[-1].removeprefix("id-"))
            if parts[1] == number and kept:
                yield kept["secret"]

    def _find(self, number: str, secret_id: str) -> Json:
        kept = self._read(number, secret_id) if _ID.fullmatch(secret_id) else None
        if kept is None:
            name = f"projects/{number}/secrets/{secret_id}"
            raise ApiError("NOT_FOUND", f"Secret [{name}] not found or has no versions.")
        return kept

    def _read(self, number: str, secret_id: str) -> Json | None:
        """A secret as it is kept; one that has expired is gone."""
        key = _key(number, secret_id)
        # What has expired may be created anew meanwhile.
        with self._lock:
            kept = self._store.get(key)
            expires = kept["secret"].get("expireTime") if kept else None
            if expires and parse_time(expires) <= self._clock.now():
                self._store.remove(key)
                return None
            return kept

    def _check(self, body: Json) -> None:
        if unknown := body.keys() - _KNOWN:
            raise invalid_argument(
                f"The emulator does not support the field `{min(unknown)}` of a secret."
            )
        replication = body.get("replication")
        if not isinstance(replication, dict) or not _is_replication(replication):
            raise invalid_argument("`replication` must be `automatic`, or `userManaged` replicas.")
        labels = body.get("labels", {})
        if not isinstance(labels, dict) or len(labels) > _MAX_LABELS or not _are_labels(labels):
            raise invalid_argument("The labels of the secret are invalid.")
        if "expireTime" in body:
            self._check_time(body)

    def _check_time(self, body: Json) -> None:
        expires: datetime | None = None
        with suppress(ValueError):
            expires = parse_time(str(body["expireTime"]))
        if "ttl" in body or expires is None or expires <= self._clock.now():
            raise invalid_argument("`expireTime` must be in the future, and without a `ttl`.")


def _key(number: str, secret_id: str) -> str:
    # A name in the store begins with a letter or a digit, and a secret's ID need not.
    return f"projects/{number}/locations/{_REGION}/{COLLECTION}/id-{secret_id}"


def _describe_version(kept: Json, number: int) -> Json:
    return {
        "name": f"{kept['secret']['name']}/versions/{number}",
        "createTime": kept["versions"][number - 1]["time"],
        "state": "ENABLED",
    }


def _read_number(version: str) -> int:
    return int(version) if re.fullmatch(r"[0-9]{1,9}", version) else 0


def _read_ttl(text: Any) -> timedelta:
    try:
        ttl = parse_duration(str(text))
    except ValueError:
        ttl = timedelta()
    if ttl <= timedelta():
        raise invalid_argument("`ttl` must be a duration, such as `3600s`.")
    return ttl


def _is_replication(replication: Json) -> bool:
    if set(replication) == {"automatic"}:
        return isinstance(replication["automatic"], dict)
    managed = replication.get("userManaged")
    replicas = managed.get("replicas") if isinstance(managed, dict) else None
    return (
        set(replication) == {"userManaged"}
        and isinstance(replicas, list)
        and bool(replicas)
        and all(isinstance(one, dict) and one.get("location") for one in replicas)
    )


def _are_labels(labels: Mapping[Any, Any]) -> bool:
    return all(
        isinstance(value, str)
        and _LABEL.fullmatch(key)
        and (not value or re.fullmatch(r"[\w-]{1,63}", value))
        and f"{key}{value}" == f"{key}{value}".lower()
        for key, value in labels.items()
    )
