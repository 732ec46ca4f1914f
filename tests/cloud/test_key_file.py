"""Key files that are invalid."""

import base64
import grp
import json
import os
import pwd
import re
from pathlib import Path

import pytest

from tests.support.users import NOBODY, needs_root
from zenml_vertex.cloud.key_file import find_key_file_problem, find_other_writers

KEY = {
    "type": "service_account",
    "client_email": "a@p.iam.gserviceaccount.com",
    "private_key": "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n",
    "token_uri": "https://oauth2.googleapis.com/token",
}


@pytest.mark.parametrize(
    "content",
    [
        KEY,
        {"type": "external_account"},
        {"type": "external_account_authorized_user"},
        {"type": "impersonated_service_account"},
        {"type": "authorized_user"},
    ],
)
def test_credentials_that_google_loads_are_not_a_problem(
    tmp_path: Path, content: dict[str, str]
) -> None:
    """Every kind of credentials file that the built-in operator takes is accepted."""
    file = tmp_path / "key.json"
    file.write_text(json.dumps(content))
    assert find_key_file_problem(str(file)) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not JSON"),
        (b"\xff\xfe\x00", "is not JSON"),
        (b"[]", "is JSON but not a credentials file"),
        (b"null", "is JSON but not a credentials file"),
        (b"[" * 100_000, "is not JSON"),
        (b'\xef\xbb\xbf{"type": "service_account"}', "is not JSON"),
        (b'{"web": {}}', "`type` must be one of `service_account`"),
        (b'{"type": {"private_key": "hunter2"}}', "`type` must be one of"),
        (b'{"type": ["service_account"]}', "`type` must be one of"),
        (b'{"type": "hunter2"}', "`type` must be one of"),
        (json.dumps({**KEY, "client_email": 5}).encode(), "without `client_email`"),
        (json.dumps({**KEY, "private_key": ["hunter2"]}).encode(), "without `private_key`"),
        (json.dumps({**KEY, "private_key": "hunter2"}).encode(), "must start with `-----BEGIN`"),
        (json.dumps({**KEY, "private_key": ""}).encode(), "without `private_key`"),
    ],
)
def test_a_file_that_is_not_a_key_is_named_with_the_reason(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    """The error gives the file, the reason and the command that creates a key."""
    file = tmp_path / "key.json"
    file.write_bytes(content)
    problem = find_key_file_problem(str(file))
    assert problem is not None
    assert reason in problem
    assert str(file) in problem
    assert "gcloud iam service-accounts keys create" in problem
    assert "hunter2" not in problem


def test_a_missing_file_and_a_folder_are_reported(tmp_path: Path) -> None:
    """A missing file and a folder each have their own error with the path."""
    assert "does not exist on this machine" in str(
        find_key_file_problem(str(tmp_path / "key.json"))
    )
    assert "cannot be read" in str(find_key_file_problem(str(tmp_path)))


@pytest.mark.parametrize("path", ["~nobody-has-this-home/key.json", "key\0.json"])
def test_an_invalid_path_is_reported(path: str) -> None:
    """A path for which Python raises something other than OSError is an error too."""
    assert "is not a valid path on this machine" in str(find_key_file_problem(path))


def test_a_name_that_is_too_long_is_reported() -> None:
    """A key pasted in place of its path is an error."""
    assert "cannot be read" in str(find_key_file_problem(f"/tmp/{'k' * 5000}"))


@pytest.mark.timeout(10)
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """A named pipe is refused without being opened, because no one may ever write to it."""
    os.mkfifo(tmp_path / "key.json")
    assert "it is not a regular file" in str(find_key_file_problem(str(tmp_path / "key.json")))


def test_a_tilde_is_expanded(home: Path) -> None:
    """`~` in a path is the user's home, as in a shell."""
    (home / "key.json").write_text(json.dumps(KEY))
    assert find_key_file_problem("~/key.json") is None


@pytest.mark.parametrize(
    "given",
    [
        json.dumps(KEY),
        json.dumps(KEY)[:60],
        f" {json.dumps(KEY, indent=2)}",
        KEY["private_key"],
        base64.b64encode(json.dumps(KEY).encode()).decode(),
    ],
    ids=["json", "cut", "lines", "pem", "base64"],
)
def test_a_key_in_place_of_its_path_is_not_shown(given: str) -> None:
    """Whoever gives the key itself, as CI systems keep it, learns so and sees none of it."""
    problem = find_key_file_problem(given)
    assert problem is not None
    assert "is a key, not the path of one" in problem
    assert "hunter2" not in problem
    assert given[:20] not in problem


EXTERNAL = {
    "type": "external_account",
    "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "token_url": "https://sts.googleapis.com/v1/token",
    "service_account_impersonation_url": "https://iamcredentials.googleapis.com/v1/projects/-/"
    "serviceAccounts/a@p.iam.gserviceaccount.com:generateAccessToken",
    "credential_source": {"url": "https://sts.googleapis.com/subject", "format": {"type": "text"}},
}


def write(file: Path, content: object, mode: int = 0o600) -> str:
    """Write a credentials file; returns its path."""
    file.write_text(json.dumps(content), "utf-8")
    file.chmod(mode)
    return str(file)


@needs_root
def test_a_file_of_another_user_is_refused(tmp_path: Path) -> None:
    """Another user of the machine, whose file a shared setting named, got files of whoever submits.

    Their file had google-auth read any file for a token, and send that to their server.
    """
    path = write(tmp_path / "key.json", EXTERNAL)
    os.chown(path, NOBODY, NOBODY)
    problem = str(find_key_file_problem(path))
    assert "a file that another user (uid 65534) can write" in problem
    assert "`export GOOGLE_APPLICATION_CREDENTIALS=KEY_FILE`" in problem


@pytest.mark.parametrize("mode", [0o602, 0o666])
def test_a_file_that_others_can_write_is_refused(tmp_path: Path, mode: int) -> None:
    """Any user of the machine could change whose servers get what google-auth sends."""
    path = write(tmp_path / "key.json", EXTERNAL, mode)
    assert "a file that every user of this machine can write" in str(find_key_file_problem(path))
    Path(path).chmod(0o644)
    assert find_key_file_problem(path) is None


@needs_root
def test_a_plain_key_of_another_user_is_read(tmp_path: Path) -> None:
    """Root in a container has keys of the host's user, and WSL shows those of Windows as open.

    Such a key asks Google alone, or is refused for the host that it names.
    """
    path = write(tmp_path / "key.json", KEY, 0o666)
    os.chown(path, NOBODY, NOBODY)
    assert find_key_file_problem(path) is None
    write(tmp_path / "key.json", {**KEY, "token_uri": "https://evil.example/token"}, 0o666)
    assert "`https://evil.example`" in str(find_key_file_problem(path))


def test_a_file_of_roots_group_is_refused(tmp_path: Path) -> None:
    """A process with another user and group 0, as in many containers, could change a key."""
    path = tmp_path / "key.json"
    path.write_text("{}")
    status = list(path.stat())
    status[0], status[4], status[5] = 0o100660, 0, 0
    assert find_other_writers(os.stat_result(status)) == "a group of users (gid 0)"
    status[0] = 0o100640
    assert find_other_writers(os.stat_result(status)) == ""


@pytest.mark.parametrize("other_has_the_group", [False, True])
def test_a_file_of_a_shared_primary_group_is_refused(
    monkeypatch: pytest.MonkeyPatch, other_has_the_group: bool
) -> None:
    """A user whose primary group was the submitter's, which no list shows, could change a key."""
    ada = pwd.struct_passwd(("ada", "x", 1000, 1000, "", "/", "/bin/sh"))
    bob = pwd.struct_passwd(("bob", "x", 1001, 1000, "", "/", "/bin/sh"))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(pwd, "getpwuid", lambda _: ada)
    monkeypatch.setattr(pwd, "getpwall", lambda: [ada, bob] if other_has_the_group else [ada])
    monkeypatch.setattr(grp, "getgrgid", lambda _: grp.struct_group(("ada", "x", 1000, [])))
    status = os.stat_result((0o100660, 0, 0, 1, 1000, 1000, 0, 0, 0, 0))
    expected = "a group of users (gid 1000)" if other_has_the_group else ""
    assert find_other_writers(status) == expected


@pytest.mark.parametrize(
    "source",
    [
        {"file": "/root/.ssh/id_rsa"},
        {"executable": {"command": "/tmp/theirs"}},
        {"environment_id": "aws1", "url": "https://sts.googleapis.com/"},
        {"certificate": {"use_default_certificate_config": True}},
    ],
)
def test_a_file_of_this_machine_is_read_for_nobody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: dict[str, object]
) -> None:
    """Whoever may edit a step operator had any file of a submitter's machine sent elsewhere.

    Where the person at the machine names the file, as for workload identity, it is taken.
    """
    content = {**EXTERNAL, "credential_source": source}
    nested = {"type": "impersonated_service_account", "source_credentials": content}
    for each in (content, nested):
        path = write(tmp_path / "key.json", each)
        assert "(`credential_source`), which a setting" in str(find_key_file_problem(path))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", path)
    assert find_key_file_problem(path) is None


@pytest.mark.parametrize("url", ["https://evil.example/t", "http://sts.googleapis.com/v1/token"])
@pytest.mark.parametrize(
    ("base", "field"),
    [
        (KEY, "token_uri"),
        (EXTERNAL, "token_url"),
        (EXTERNAL, "token_info_url"),
        (EXTERNAL, "service_account_impersonation_url"),
        (EXTERNAL, "url"),
    ],
)
def test_a_host_of_somebody_elses_in_a_file_needs_consent(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    base: dict[str, object],
    field: str,
    url: str,
) -> None:
    """Whoever may edit a step operator, and has a file here, got tokens sent to their own server.

    Google's hosts need no consent, and the printed command gives it for others.
    """
    assert find_key_file_problem(write(tmp_path / "key.json", base)) is None
    source = {"credential_source": {"url": url}} if field == "url" else {field: url}
    path = write(tmp_path / "key.json", {**base, **source})
    problem = str(find_key_file_problem(path))
    assert f"`{field}` is at `{url[: url.index('/', 8)]}`, which is not Google's" in problem
    command = re.search(r"`export (\w+)=(\S+)`", problem)
    assert command
    monkeypatch.setenv(command[1], command[2])
    assert find_key_file_problem(path) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example\\@oauth2.googleapis.com/token",
        "https://oauth2.googleapis.com@evil.example/token",
        " https://oauth2.googleapis.com/token",
        "file:///etc/passwd://",
        "https://evil.example#@oauth2.googleapis.com",
    ],
)
def test_an_odd_address_in_a_file_is_refused(tmp_path: Path, url: str) -> None:
    """Whoever writes an address that two libraries read differently got past a check of hosts."""
    path = write(tmp_path / "key.json", {**KEY, "token_uri": url})
    assert "`token_uri` is " in str(find_key_file_problem(path))


@pytest.mark.parametrize("universe", ["evil.example", "googleapis.com.evil.example", "com"])
def test_a_universe_of_somebody_elses_needs_consent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, universe: str
) -> None:
    """Whoever may edit a step operator got tokens by a file that made their domain the universe."""
    content = {**KEY, "universe_domain": universe}
    path = write(tmp_path / "key.json", content)
    assert f"`universe_domain` is `{universe}`, which" in str(find_key_file_problem(path))
    monkeypatch.setenv("ZENML_VERTEX_ALLOWED_HOSTS", universe)
    write(tmp_path / "key.json", {**content, "token_uri": f"https://oauth2.x.{universe}/token"})
    assert (find_key_file_problem(path) is None) is (universe != "com")
