"""The environments of the stack's processes: nothing of the user's ZenML or Google set-up. Pure."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

# Variables that would point a process of the stack at the user's own server, project or
# credentials.
DROPPED_PREFIXES = (
    "AIPLATFORM_",
    "BOTO_",
    "CLOUDSDK_",
    "FSSPEC_",
    "GCE_",
    "GCLOUD_",
    "GOOGLE_",
    "STORAGE_EMULATOR_",
    "ZENML_",
)
_DROPPED = (
    # ZenML's own, without its prefix.
    "DISABLE_CREDENTIALS_DISK_CACHING",
    "DISABLE_DATABASE_MIGRATION",
    # A Python that writes no bytecode imports ZenML 4 times slower.
    "PYTHONDONTWRITEBYTECODE",
    # Belongs to the caller's code.
    "PYTHONPATH",
)
# A proxy cannot reach this machine's loopback address.
_LOOPBACK = "127.0.0.1,localhost"
# The variables that point clients at the emulator.
_NAME_THE_EMULATOR = ("AIPLATFORM_EMULATOR_HOST", "CLOUDSDK_API_ENDPOINT_OVERRIDES_")
USER_NAME = "default"
# Points the client of ZenML's own operator at the emulator.
_BUILTIN = Path(__file__).parent / "programs" / "builtin"

# Services that the commands of gcloud in messages ask, by gcloud's names for them. The emulator
# refuses those that it does not serve: no command on this stack is to reach Google.
GCLOUD_SERVICES = (
    "aiplatform",
    "artifactregistry",
    "cloudkms",
    "cloudresourcemanager",
    "compute",
    "iam",
    "logging",
    "secretmanager",
    "serviceusage",
)

# As in `flavor`, which imports ZenML.
_OWN_FLAVOR = "zenml_vertex.flavor.VertexStepOperatorFlavor"

Operator = Literal["plugin", "builtin"]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things lie in the folder of a stack.

    Args:
        folder: The folder; an absolute path.
    """

    folder: Path

    @property
    def logs(self) -> Path:
        """Log files of the servers."""
        return self.folder / "logs"

    @property
    def key_file(self) -> Path:
        """The made-up service account key."""
        return self.folder / "service-account.json"

    @property
    def emulator(self) -> Path:
        """Jobs of the Vertex AI emulator."""
        return self.folder / "vertex"

    @property
    def images(self) -> Path:
        """What images would carry that are not built."""
        return self.folder / "images"

    @property
    def zenml_server(self) -> Path:
        """Configuration and database of the ZenML server."""
        return self.folder / "zenml-server"

    @property
    def zenml_client(self) -> Path:
        """Configuration of ZenML's clients."""
        return self.folder / "zenml-client"

    @property
    def gcloud(self) -> Path:
        """Configuration of gcloud."""
        return self.folder / "gcloud"

    @property
    def docker(self) -> Path:
        """Configuration of Docker's clients, with logins to registries."""
        return self.folder / "docker"

    @property
    def fsspec(self) -> Path:
        """Configuration of gcsfs."""
        return self.folder / "fsspec"

    @property
    def boto(self) -> Path:
        """Configuration of gsutil, a file."""
        return self.gcloud / "boto"

    @property
    def projects(self) -> Path:
        """Pipeline projects, one folder each."""
        return self.folder / "projects"

    def make_folders(self) -> None:
        """Make all folders, for their owner only."""
        for folder in (
            self.logs,
            self.images,
            self.zenml_server,
            self.zenml_client,
            self.gcloud,
            self.docker,
            self.fsspec,
            self.projects,
        ):
            folder.mkdir(mode=0o700, parents=True)
        # https://cloud.google.com/storage/docs/boto-gsutil: by default it is ~/.gsutil.
        self.boto.write_text(f"[GSUtil]\nstate_dir = {self.gcloud / 'gsutil'}\n", "utf-8")


@dataclass(frozen=True, slots=True)
class Secrets:
    """What must never appear in any output.

    Args:
        password: Of the only user of the ZenML server.
        jwt_key: With which the ZenML server signs its tokens.
    """

    password: str = field(repr=False)
    jwt_key: str = field(repr=False)


def build_base_environment(environ: Mapping[str, str], layout: Layout) -> dict[str, str]:
    """What every process of the stack gets.

    HOME remains the user's: what ZenML, gcloud, Docker's clients, gsutil and gcsfs keep
    there by default is looked for in the stack's folder.

    Args:
        environ: The environment of the caller.
        layout: Where things lie.
    """
    kept = {
        name: value
        for name, value in environ.items()
        if not name.startswith(DROPPED_PREFIXES) and name not in _DROPPED
    }
    return {
        **kept,
        "NO_PROXY": _add_loopback(environ.get("NO_PROXY") or environ.get("no_proxy", "")),
        "no_proxy": _add_loopback(environ.get("no_proxy") or environ.get("NO_PROXY", "")),
        "PYTHONUNBUFFERED": "1",
        "ZENML_ANALYTICS_OPT_IN": "false",
        "ZENML_AUTO_OPEN_DASHBOARD": "false",
        "ZENML_ENABLE_RICH_TRACEBACK": "false",
        "ZENML_LOGGING_COLORS_DISABLED": "true",
        "BOTO_CONFIG": str(layout.boto),
        "CLOUDSDK_CONFIG": str(layout.gcloud),
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "DOCKER_CONFIG": str(layout.docker),
        "FSSPEC_CONFIG_DIR": str(layout.fsspec),
    }


def _add_loopback(hosts: str) -> str:
    """The hosts that are reached without a proxy, `*` for all, and this machine."""
    return f"{_LOOPBACK},{hosts}" if hosts.strip() not in {"", "*"} else hosts.strip() or _LOOPBACK


def build_server_environment(
    base: Mapping[str, str], layout: Layout, secrets: Secrets, *, storage_url: str
) -> dict[str, str]:
    """The environment of the ZenML server."""
    return {
        **base,
        "ZENML_CONFIG_PATH": str(layout.zenml_server),
        "ZENML_SERVER": "true",
        "ZENML_SERVER_AUTO_ACTIVATE": "1",
        "ZENML_SERVER_AUTH_SCHEME": "OAUTH2_PASSWORD_BEARER",
        "ZENML_SERVER_DEPLOYMENT_TYPE": "other",
        "ZENML_SERVER_JWT_SECRET_KEY": secrets.jwt_key,
        "ZENML_DEFAULT_USER_NAME": USER_NAME,
        "ZENML_DEFAULT_USER_PASSWORD": secrets.password,
        "ZENML_STORE_TYPE": "sql",
        "ZENML_STORE_URL": f"sqlite:///{layout.zenml_server / 'zenml.db'}",
        # A service connector is verified by the server, and artifacts are shown by it.
        "STORAGE_EMULATOR_HOST": storage_url,
        "GOOGLE_APPLICATION_CREDENTIALS": str(layout.key_file),
    }


def build_emulator_environment(
    base: Mapping[str, str], *, project: str, storage_url: str
) -> dict[str, str]:
    """The environment of the Vertex AI emulator.

    It hands the address of the storage on to containers, and the project to the clients
    that are led to it by Google's names.
    """
    return {**base, "GOOGLE_CLOUD_PROJECT": project, "STORAGE_EMULATOR_HOST": storage_url}


def read_exports(output: str) -> dict[str, str]:
    """The variables in the lines `export NAME=VALUE` that `emulator --as-google` prints."""
    lines = (shlex.split(line) for line in output.splitlines() if line.startswith("export "))
    return dict(words[1].split("=", 1) for words in lines)


def lead_to_google(environment: Mapping[str, str], exports: Mapping[str, str]) -> dict[str, str]:
    """The environment of a client that finds the emulator under Google's own host names.

    Args:
        environment: As `build_client_environment` has it.
        exports: What the emulator has printed.
    """
    kept = {
        name: value
        for name, value in environment.items()
        if not name.startswith(_NAME_THE_EMULATOR)
    }
    return {**kept, **exports}


def choose_operator(operator: Operator, *, as_google: bool = False) -> dict[str, str]:
    """What every process of a stack gets so that the flavor `vertex` is the one wanted.

    Args:
        operator: `plugin` for this package's, `builtin` for ZenML's own, unmodified.
        as_google: Whether clients find the emulator under Google's own host names; otherwise,
            that of ZenML's own operator must be pointed at it.
    """
    if operator == "plugin":
        return {}
    pointed = {} if as_google else {"PYTHONPATH": str(_BUILTIN)}
    return {"ZENML_VERTEX_DISABLE": "1", **pointed}


def choose_flavor_source(operator: Operator, recorded: str) -> str:
    """Where the processes of a stack load the flavor `vertex` from.

    Args:
        operator: Whose flavor it is.
        recorded: What the ZenML server's record says. It is ZenML's own, in whose place this
            package's init hook puts its flavor.
    """
    return recorded if operator == "builtin" else _OWN_FLAVOR


def log_in_with_token(token: str) -> dict[str, str]:
    """What a client of ZenML has when it is logged in already, as after `zenml login`."""
    return {"ZENML_STORE_API_TOKEN": token}


def build_client_environment(
    base: Mapping[str, str],
    layout: Layout,
    secrets: Secrets,
    *,
    zenml_url: str,
    storage_url: str,
    emulator_url: str,
) -> dict[str, str]:
    """The environment of everything that uses the stack: pipelines, ZenML's and gcloud's commands.

    A client of ZenML needs to log in besides.
    """
    return {
        **base,
        "ZENML_CONFIG_PATH": str(layout.zenml_client),
        "ZENML_STORE_TYPE": "rest",
        "ZENML_STORE_URL": zenml_url,
        # For people, at the dashboard.
        "ZENML_DEFAULT_USER_NAME": USER_NAME,
        "ZENML_DEFAULT_USER_PASSWORD": secrets.password,
        # ZenML writes its file of credentials in place: of two clients that start
        # together, one may find it empty, and not be let in.
        "DISABLE_CREDENTIALS_DISK_CACHING": "true",
        "STORAGE_EMULATOR_HOST": storage_url,
        "AIPLATFORM_EMULATOR_HOST": emulator_url.removeprefix("http://"),
        "GOOGLE_APPLICATION_CREDENTIALS": str(layout.key_file),
        **{
            f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{service.upper()}": f"{emulator_url}/"
            for service in GCLOUD_SERVICES
        },
    }
