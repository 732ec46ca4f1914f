"""The login of the gcloud CLI as credentials.

`gcloud auth login` alone is what ZenML's page promises to be enough. Application
Default Credentials never see that login, and google-auth has no class for it
that is not deprecated, so the CLI itself is asked for tokens.
"""

import json
import re
import shutil
import subprocess
import threading
from dataclasses import dataclass
from typing import Any

from google.auth import credentials, exceptions

from zenml_vertex.foreign_text import clean_line

# The CLI takes half a second, and several where its files are on a network.
GCLOUD_TIMEOUT_SECONDS = 60.0

# RFC 6750, section 2.1.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
# How gcloud's errors end that only a person can mend.
_LOGIN_NEEDED = re.compile(r"gcloud auth login|gcloud config set account|[Rr]eauth")


@dataclass(frozen=True, slots=True)
class GcloudLogin:
    """Who is logged in."""

    # E-mail address of the active account.
    account: str
    # The active project; empty if none is set.
    project: str
    # The service account that the account acts as; empty if none is set.
    impersonates: str = ""


def find_gcloud_login(timeout_seconds: float = GCLOUD_TIMEOUT_SECONDS) -> GcloudLogin | None:
    """The active login of the gcloud CLI; None without the CLI or without a login.

    Args:
        timeout_seconds: How long the CLI may take.

    Raises:
        RefreshError: If the CLI is installed but fails, with its own words.
    """
    if shutil.which("gcloud") is None:
        return None
    try:
        configuration = json.loads(_run("config", "list", "--format=json", seconds=timeout_seconds))
        core = configuration.get("core") or {}
        impersonates = (configuration.get("auth") or {}).get("impersonate_service_account") or ""
        account, project = core.get("account") or "", core.get("project") or ""
    except (ValueError, AttributeError):
        raise exceptions.RefreshError(
            "`gcloud config list --format=json` did not print JSON"
        ) from None
    return GcloudLogin(account, project, impersonates) if account else None


class GcloudCredentials(credentials.Credentials):
    """Access tokens of the gcloud CLI.

    The CLI is run for the first call, and again when Vertex AI answers 401, after which
    google-auth's session refreshes the token and repeats the call: a token does not say
    when it expires, and the CLI returns the same one until shortly before that.

    Args:
        account: The account whose tokens to use.
        timeout_seconds: How long the CLI may take.
    """

    def __init__(self, account: str, timeout_seconds: float = GCLOUD_TIMEOUT_SECONDS) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._account = account
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()

    def refresh(self, request: Any) -> None:
        """Ask the CLI for a token.

        Raises:
            RefreshError: If the CLI has no token, with its own words.
        """
        del request
        refused = self.token
        with self._lock:
            # Several threads may want one at the same time; the first asks for all of them.
            if self.token == refused:
                self.token = self._ask()

    def _ask(self) -> str:
        token = _run("auth", "print-access-token", self._account, seconds=self._timeout_seconds)
        if not _TOKEN.fullmatch(token.strip()):
            # What it printed may contain a token: it is not shown.
            raise exceptions.RefreshError("`gcloud auth print-access-token` did not print a token")
        return token.strip()


def _run(*arguments: str, seconds: float) -> str:
    command = f"`gcloud {' '.join(arguments[:2])}`"
    try:
        done = subprocess.run(
            ["gcloud", *arguments, "--quiet"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=True,
            stdin=subprocess.DEVNULL,
            timeout=seconds,
        )
    except subprocess.CalledProcessError as error:
        words = clean_line(error.stderr) or f"exit code {error.returncode}"
        raise exceptions.RefreshError(
            f"{command} failed: {words}", retryable=not _LOGIN_NEEDED.search(words)
        ) from None
    except subprocess.TimeoutExpired:
        raise exceptions.RefreshError(
            f"{command} did not finish within {seconds:g} s", retryable=True
        ) from None
    except OSError as error:
        raise exceptions.RefreshError(f"{command} cannot be run: {error.strerror}") from None
    return done.stdout
