"""The login of the gcloud CLI as credentials.

`gcloud auth login` alone is what ZenML's page promises to be enough. Application
Default Credentials never see that login, and google-auth has no class for it
that is not deprecated, so the CLI itself is asked for tokens.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass
from typing import Any

from google.auth import credentials, exceptions

GCLOUD_TIMEOUT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class GcloudLogin:
    """Who is logged in.

    Args:
        account: E-mail address of the active account.
        project: The active project; empty if none is set.
    """

    account: str
    project: str


def find_gcloud_login() -> GcloudLogin | None:
    """The active login of the gcloud CLI; None without the CLI or without a login."""
    if shutil.which("gcloud") is None:
        return None
    try:
        core = json.loads(_run("config", "list", "--format=json")).get("core", {})
    except (exceptions.RefreshError, ValueError):
        return None
    account = core.get("account")
    return GcloudLogin(account=account, project=core.get("project", "")) if account else None


class GcloudCredentials(credentials.Credentials):
    """Access tokens of the gcloud CLI.

    A token says nothing of its expiry, so none is kept: an expired one is
    answered with 401, upon which google-auth's session asks for the next.

    Args:
        account: The account whose tokens are wanted.
    """

    def __init__(self, account: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._account = account

    def refresh(self, request: Any) -> None:
        """Ask the CLI for a token.

        Raises:
            RefreshError: If the CLI has none to give, with its own words.
        """
        del request
        self.token = _run("auth", "print-access-token", self._account).strip()


def _run(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["gcloud", *arguments, "--quiet"],
            capture_output=True,
            text=True,
            check=True,
            stdin=subprocess.DEVNULL,
            timeout=GCLOUD_TIMEOUT_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        raise exceptions.RefreshError(
            f"`gcloud {' '.join(arguments[:2])}` failed: {error.stderr.strip()}"
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise exceptions.RefreshError(
            f"`gcloud {' '.join(arguments[:2])}` gave no answer: {type(error).__name__}"
        ) from None
    return done.stdout
