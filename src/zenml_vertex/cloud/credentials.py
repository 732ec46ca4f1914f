"""Who submits: the identity and the project that jobs are created with.

The first of these counts: a linked service connector, the key file of the settings,
Application Default Credentials, the login of the gcloud CLI, the machine's own
service account. An emulator gets none of them, and needs only a project.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google.auth
from google.auth.compute_engine import Credentials as MachineCredentials
from google.auth.credentials import AnonymousCredentials, Credentials, TokenState
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.oauth2 import service_account

from zenml_vertex.cloud.gcloud_login import GcloudCredentials, find_gcloud_login
from zenml_vertex.cloud.key_file import read_key_file
from zenml_vertex.errors import CredentialsError
from zenml_vertex.foreign_text import clean, clean_line, end_sentence, presentable
from zenml_vertex.job.identity import is_project

# Covers aiplatform, logging, storage and artifact registry.
SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)

_ANONYMOUS = "anonymous (emulator)"
# What google-auth raises for a file of credentials with something missing or wrong.
_LOADING_ERRORS = (GoogleAuthError, ValueError, LookupError, TypeError, AttributeError, OSError)


@dataclass(frozen=True, slots=True)
class Identity:
    """Credentials, and the project they act on."""

    # google-auth credentials that refresh themselves.
    credentials: Any
    # ID of the project that jobs are created in.
    project: str
    # Who acts and where the credentials come from, for the log; contains no secret.
    description: str

    def __repr__(self) -> str:
        return f"Identity({self.description!r}, project={self.project!r})"


@dataclass(frozen=True, slots=True)
class ConnectorAccess:
    """A linked service connector."""

    name: str
    # The project that the connector is configured for.
    project: str
    # Returns credentials that are valid now.
    fetch: Callable[[], Any]
    # E-mail address of the credentials; empty if the connector does not say.
    account: str = ""


class ConnectorCredentials(Credentials):
    """The short-lived credentials of a service connector, fetched again when they expire.

    Args:
        fetch: Returns credentials that are valid now.
    """

    def __init__(self, fetch: Callable[[], Any]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._fetch = fetch

    def refresh(self, request: Any) -> None:
        """Copy the token of the connector's current credentials.

        Raises:
            RefreshError: If the connector returns none.
        """
        try:
            current = self._fetch()
            # google-auth calls a token invalid minutes before it expires, when the
            # short-lived one of a connector cannot be refreshed yet.
            if current.token_state is TokenState.INVALID:
                current.refresh(request)
        except GoogleAuthError:
            raise
        except (CredentialsError, RuntimeError, *_LOADING_ERRORS) as error:
            raise RefreshError(
                f"the service connector returned no credentials: {clean_line(str(error))}"
            ) from presentable(error)
        self.token = current.token
        self.expiry = current.expiry


def resolve_identity(
    *,
    project: str | None,
    key_file: str | None,
    connector: ConnectorAccess | None,
    is_emulator: bool,
) -> Identity:
    """Find out who submits.

    Args:
        project: Project of the settings; empty for the one of the credentials.
        key_file: Path of a key file; empty for none.
        connector: The linked connector, if there is one.
        is_emulator: Whether the API is an emulator, which gets no credentials: of a connector
            or key file, only the project is used.

    Raises:
        CredentialsError: If no identity is found, or the project is missing or invalid.
    """
    if connector:
        check_connector_project(project, connector.project)
        found_project: str | None = connector.project
        credentials: Any = ConnectorCredentials(connector.fetch)
        who = f"service connector `{connector.name}`"
        who = f"{connector.account} ({who})" if connector.account else who
    elif key_file:
        credentials, found_project, who = _load_key_file(key_file)
    elif is_emulator:
        credentials, found_project, who = AnonymousCredentials(), None, _ANONYMOUS
    else:
        credentials, found_project, who = _find_on_this_machine()
    # Whoever may edit a step operator, a connector or a key file has written it.
    who = clean_line(who)
    chosen = project or found_project
    if not chosen:
        raise CredentialsError(
            f"No Google Cloud project is set, and {who} has none. Set one with "
            "`zenml step-operator update NAME --project=PROJECT_ID`."
        )
    if not is_project(chosen):
        # Not shown: it may come from a secret.
        whose = "that is set" if project else f"of {who}"
        raise CredentialsError(
            f"The Google Cloud project {whose} is not the ID of a project, which has no spaces, "
            "capitals or slashes. Set one that `gcloud projects list` shows with "
            "`zenml step-operator update NAME --project=PROJECT_ID`."
        )
    if is_emulator and who != _ANONYMOUS:
        credentials, who = AnonymousCredentials(), f"{_ANONYMOUS} instead of {who}"
    return Identity(credentials, chosen, who)


def find_universe(credentials: Any) -> str:
    """The domain whose services credentials are for, `googleapis.com` for nearly all; may ask.

    Google Cloud has others for customers of sovereign clouds, which key files name in
    `universe_domain`.
    """
    try:
        return str(getattr(credentials, "universe_domain", None) or "")
    except GoogleAuthError:
        return ""


def check_connector_project(project: str | None, connector_project: str) -> None:
    """Refuse a project that is not the connector's: one of the two is a mistake.

    Raises:
        CredentialsError: If both are set and differ.
    """
    if project and connector_project and project != connector_project:
        raise CredentialsError(
            f"The step operator is configured for project `{clean_line(project)}`, and its service "
            f"connector for project `{clean_line(connector_project)}`. Remove one: `zenml "
            "step-operator remove-attribute NAME project` keeps the connector's, `zenml "
            "step-operator disconnect NAME` the configured one."
        )


def _load_key_file(path: str) -> tuple[Any, str | None, str]:
    content = read_key_file(path)
    try:
        credentials = service_account.Credentials.from_service_account_info(content, scopes=SCOPES)
    except ValueError:
        credentials, project = _load_other_credentials(path, content)
        return credentials, project, f"the credentials in {path}"
    email = credentials.service_account_email
    return credentials, credentials.project_id, f"{email} (key file {path})"


def _load_other_credentials(path: str, content: Mapping[str, Any]) -> tuple[Any, str | None]:
    """Load workload identity, impersonation or user credentials, as the built-in operator does."""
    try:
        with _without_advice():
            credentials, project = google.auth.load_credentials_from_dict(content, scopes=SCOPES)
    except _LOADING_ERRORS as error:
        raise CredentialsError(
            f"`service_account_path` is `{path}`, which google-auth cannot load "
            f"({type(error).__name__}). Download the key again."
        ) from None
    return credentials, project


def _find_on_this_machine() -> tuple[Any, str | None, str]:
    variable = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    file = variable or _default_credentials_file()
    if variable or Path(file).is_file():
        return _load_default_credentials(
            f"Application Default Credentials are in `{file}` but cannot be used. Run `gcloud "
            "auth application-default login`, or remove them "
            f"{'with `unset GOOGLE_APPLICATION_CREDENTIALS` ' if variable else ''}to act as "
            "your gcloud login."
        )
    trouble = ""
    try:
        login = find_gcloud_login()
    except RefreshError as error:
        login, trouble = None, end_sentence(f" The gcloud CLI is installed, but {error}")
    if login:
        credentials = GcloudCredentials(login.account)
        if login.impersonates:
            who = f"{login.impersonates} (gcloud login of {login.account})"
        else:
            who = f"{login.account} (gcloud login)"
        return credentials, login.project or None, who
    return _load_default_credentials(
        "No Google Cloud credentials: no service connector, no `service_account_path`, no "
        "Application Default Credentials and no gcloud login was found. Run `gcloud auth "
        "login`, or link a connector with `zenml step-operator connect NAME --connector "
        f"CONNECTOR`.{trouble}"
    )


def _load_default_credentials(problem: str) -> tuple[Any, str | None, str]:
    try:
        with _without_advice():
            credentials, project = google.auth.default(scopes=SCOPES)
    except _LOADING_ERRORS as error:
        words = clean(str(error.args[0] if error.args else "")).partition("\n")[0]
        reason = end_sentence(f"{type(error).__name__}: {words}")
        raise CredentialsError(f"{problem} (google-auth: {reason})") from None
    return credentials, project, f"{_name(credentials)} (Application Default Credentials)"


def _name(credentials: Any) -> str:
    """Whose credentials these are, as far as they tell without asking a server."""
    if isinstance(credentials, MachineCredentials):
        return "the machine's service account"
    for attribute in ("service_account_email", "account"):
        if value := getattr(credentials, attribute, None):
            return str(value)
    return "the user"


@contextmanager
def _without_advice() -> Iterator[None]:
    """Hide google-auth's warnings about what the user has chosen on purpose.

    It deprecates loading files of unknown origin; the user has named these. It wants a
    quota project for a user's credentials; jobs bill the project that they are created in.
    """
    with warnings.catch_warnings():
        for category in (DeprecationWarning, PendingDeprecationWarning, UserWarning):
            warnings.simplefilter("ignore", category)
        yield


def _default_credentials_file() -> Path:
    """Where `gcloud auth application-default login` leaves its credentials."""
    if folder := os.environ.get("CLOUDSDK_CONFIG"):
        return Path(folder) / "application_default_credentials.json"
    if os.name == "nt" and (folder := os.environ.get("APPDATA")):
        return Path(folder) / "gcloud" / "application_default_credentials.json"
    return Path.home() / ".config" / "gcloud" / "application_default_credentials.json"
