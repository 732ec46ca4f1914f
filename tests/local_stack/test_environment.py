"""The environment of a local stack's processes."""

import ast
import re
from pathlib import Path

import pytest

import zenml_vertex
from zenml_vertex.local_stack import start
from zenml_vertex.local_stack.environment import (
    GCLOUD_SERVICES,
    Layout,
    Secrets,
    build_base_environment,
    build_client_environment,
    build_emulator_environment,
    build_server_environment,
    choose_flavor_source,
    lead_to_google,
    read_exports,
)
from zenml_vertex.local_stack.processes.servers import StartError

LAYOUT = Layout(Path("/stack"))
# The first word of a command of gcloud -> what it asks.
SERVICES_OF_GROUPS = {
    "ai": {"aiplatform", "logging"},
    "artifacts": {"artifactregistry"},
    "auth": set(),
    "compute": {"compute"},
    "config": set(),
    "iam": {"iam"},
    "kms": {"cloudkms"},
    "projects": {"cloudresourcemanager"},
    "secrets": {"secretmanager"},
    "services": {"serviceusage"},
}
SECRETS = Secrets(password="the-password", jwt_key="the-jwt-key")


def test_the_users_configuration_is_not_inherited() -> None:
    """The user's server, project, credentials and their files do not reach the stack; HOME does."""
    environ = {
        "AIPLATFORM_EMULATOR_HOST": "elsewhere:1",
        "BOTO_PATH": "/user/boto",
        "CLOUDSDK_CONFIG": "/user/gcloud",
        "CLOUDSDK_CORE_PROJECT": "users-project",
        "DISABLE_DATABASE_MIGRATION": "true",
        "DOCKER_CONFIG": "/user/docker",
        "FSSPEC_GCS_ENDPOINT_URL": "http://elsewhere:3",
        "GOOGLE_APPLICATION_CREDENTIALS": "/user/key.json",
        "GOOGLE_CLOUD_PROJECT": "users-project",
        "HOME": "/user",
        "NO_PROXY": "example.com",
        "PATH": "/usr/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": "/user/code",
        "STORAGE_EMULATOR_HOST": "http://elsewhere:2",
        "XDG_CONFIG_HOME": "/user/.config",
        "ZENML_CONFIG_PATH": "/user/zenml",
        "ZENML_STORE_URL": "https://users-server",
        "ZENML_VERTEX_DISABLE": "1",
    }
    assert build_base_environment(environ, LAYOUT) == {
        "BOTO_CONFIG": "/stack/gcloud/boto",
        "CLOUDSDK_CONFIG": "/stack/gcloud",
        "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
        "DOCKER_CONFIG": "/stack/docker",
        "FSSPEC_CONFIG_DIR": "/stack/fsspec",
        "HOME": "/user",
        "NO_PROXY": "127.0.0.1,localhost,example.com",
        "PATH": "/usr/bin",
        "PYTHONUNBUFFERED": "1",
        "XDG_CONFIG_HOME": "/user/.config",
        "ZENML_ANALYTICS_OPT_IN": "false",
        "ZENML_AUTO_OPEN_DASHBOARD": "false",
        "ZENML_ENABLE_RICH_TRACEBACK": "false",
        "ZENML_LOGGING_COLORS_DISABLED": "true",
        "no_proxy": "127.0.0.1,localhost,example.com",
    }


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [("", "127.0.0.1,localhost"), ("*", "*"), ("corp.example", "127.0.0.1,localhost,corp.example")],
)
def test_a_proxy_is_not_asked_for_this_machine(hosts: str, expected: str) -> None:
    """Hosts that the user reaches without a proxy are still reached so."""
    environment = build_base_environment({"no_proxy": hosts}, LAYOUT)
    assert (environment["no_proxy"], environment["NO_PROXY"]) == (expected, expected)


def test_the_server_has_its_own_database_and_no_client() -> None:
    """The server works in its own folder, with a password of its own."""
    environment = build_server_environment({}, LAYOUT, SECRETS, storage_url="http://127.0.0.1:2")
    assert environment["ZENML_STORE_URL"] == "sqlite:////stack/zenml-server/zenml.db"
    assert environment["ZENML_CONFIG_PATH"] == "/stack/zenml-server"
    assert environment["ZENML_DEFAULT_USER_PASSWORD"] == "the-password"


def test_the_emulator_gets_no_credentials() -> None:
    """The emulator passes the storage's address to its jobs, and no credentials."""
    environment = build_emulator_environment(
        {"PATH": "/usr/bin"}, project="p", storage_url="http://127.0.0.1:2"
    )
    assert environment == {
        "PATH": "/usr/bin",
        "GOOGLE_CLOUD_PROJECT": "p",
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:2",
    }


def test_clients_are_led_by_what_the_emulator_prints() -> None:
    """Under Google's names, no variable points a client at the emulator, and all else is kept."""
    printed = "# Type this:\nexport HTTPS_PROXY=http://127.0.0.1:1\nexport A='b c'\nlistening\n"
    given = {
        "AIPLATFORM_EMULATOR_HOST": "127.0.0.1:2",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAM": "http://127.0.0.1:2/",
        "HTTPS_PROXY": "http://proxy.example",
        "ZENML_STORE_URL": "http://127.0.0.1:3",
    }
    assert lead_to_google(given, read_exports(printed)) == {
        "A": "b c",
        "HTTPS_PROXY": "http://127.0.0.1:1",
        "ZENML_STORE_URL": "http://127.0.0.1:3",
    }


def test_clients_find_the_three_servers() -> None:
    """ZenML, gcloud, gcsfs and the operator use the stack's servers, and no others."""
    environment = build_client_environment(
        {},
        LAYOUT,
        SECRETS,
        zenml_url="http://127.0.0.1:1",
        storage_url="http://127.0.0.1:2",
        emulator_url="http://127.0.0.1:3",
    )
    assert environment == {
        "AIPLATFORM_EMULATOR_HOST": "127.0.0.1:3",
        **{
            f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{service.upper()}": "http://127.0.0.1:3/"
            for service in GCLOUD_SERVICES
        },
        "DISABLE_CREDENTIALS_DISK_CACHING": "true",
        "GOOGLE_APPLICATION_CREDENTIALS": "/stack/service-account.json",
        "STORAGE_EMULATOR_HOST": "http://127.0.0.1:2",
        "ZENML_CONFIG_PATH": "/stack/zenml-client",
        "ZENML_DEFAULT_USER_NAME": "default",
        "ZENML_DEFAULT_USER_PASSWORD": "the-password",
        "ZENML_STORE_TYPE": "rest",
        "ZENML_STORE_URL": "http://127.0.0.1:1",
    }


def test_secrets_are_not_in_reprs() -> None:
    """The repr of the secrets shows none of them."""
    assert "the-" not in repr(SECRETS)


def test_the_flavor_that_runs_is_named() -> None:
    """What is said to be the flavor is what runs, also where the server's record is ZenML's."""
    recorded = "zenml.integrations.gcp.flavors.x.VertexStepOperatorFlavor"
    ours = "zenml_vertex.flavor.VertexStepOperatorFlavor"
    assert choose_flavor_source("plugin", recorded) == ours
    assert choose_flavor_source("builtin", recorded) == recorded


def test_an_environment_without_the_hook_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where ZenML's own operator would run unasked, nothing starts, and the cure is told."""
    monkeypatch.setattr(start, "has_init_hook", lambda: False)
    with (
        pytest.raises(StartError, match=r"is ZenML's own in this .* Run `.+ --force-reinstall"),
        start.start_local_stack(tmp_path / "stack"),
    ):
        pass
    assert not (tmp_path / "stack").exists()


def test_no_printed_command_of_gcloud_leaves_the_machine() -> None:
    """Every service that a command in the package's own messages asks is the stack's."""
    asked = {service for group in find_printed_groups() for service in SERVICES_OF_GROUPS[group]}
    assert asked == set(GCLOUD_SERVICES)


def find_printed_groups() -> set[str]:
    """The groups of gcloud's commands in the texts of the package, such as `ai`."""
    found: set[str] = set()
    for file in Path(zenml_vertex.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            parts = getattr(node, "elts", None) or getattr(node, "values", [node])
            words = [str(part.value) for part in parts if isinstance(part, ast.Constant)]
            texts = [" ".join(words)] if isinstance(node, (ast.List, ast.Tuple)) else words
            for text in texts:
                found |= set(re.findall(r"(?:^|`)gcloud (\w+) [\w-]+", text))
    return found
