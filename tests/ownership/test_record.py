"""`zenml-vertex flavor`: who owns the flavor record of a server that lacks the package.

A ZenML server in a process of its own with permissions like a paid one's, and the
commands as a user types them.
"""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.forkserver import ForkServer
from tests.support.rbac import PLAIN_USER
from zenml_vertex.installation import uninstall_command
from zenml_vertex.local_stack.environment import USER_NAME
from zenml_vertex.local_stack.processes.loopback import open_listener, url_of
from zenml_vertex.local_stack.stack import LocalStack, make_project
from zenml_vertex.local_stack.start import start_local_stack

BUILTIN = "zenml.integrations.gcp.flavors.vertex_step_operator_flavor.VertexStepOperatorFlavor"
OURS = "zenml_vertex.flavor.VertexStepOperatorFlavor"
PASSWORD = "a-plain-users-password"

READ_RECORD = """
import json, sys
from zenml.client import Client
from zenml.enums import StackComponentType
kind = StackComponentType.STEP_OPERATOR
flavor = Client().get_flavor_by_name_and_type("vertex", kind).get_hydrated_version()
json.dump(
    {
        **flavor.get_body().model_dump(mode="json"),
        **flavor.get_metadata().model_dump(mode="json"),
        "id": str(flavor.id),
    },
    sys.stdout,
)
"""
# What ZenML does after each migration of its database.
SYNC_FLAVORS = """
from zenml.client import Client
store = Client().zen_store
store._request("PATCH", store.url + "/api/v1/flavors/sync")
"""
CREATE_USER = f"""
from zenml.client import Client
Client().create_user("{PLAIN_USER}", "{PASSWORD}")
"""


# As earlier versions made ZenML write it.
PUT_UNASKED = f"""
from zenml.client import Client
from zenml.enums import StackComponentType
from zenml.models import FlavorUpdate
flavor = Client().get_flavor_by_name_and_type("vertex", StackComponentType.STEP_OPERATOR)
Client().zen_store.update_flavor(flavor.id, FlavorUpdate(source="{OURS}", is_custom=False))
"""


@pytest.fixture(scope="module")
def stack(
    tmp_path_factory: pytest.TempPathFactory, fork_server: ForkServer
) -> Iterator[LocalStack]:
    """A stack whose server does not have the package, with the built-in record.

    A user's commands are copies of a process that has ZenML imported.
    """
    variables = {
        "ZENML_VERTEX_DISABLE": "1",
        "ZENML_SERVER_RBAC_IMPLEMENTATION_SOURCE": "tests.support.rbac.NoFlavorsForPlainUsers",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    folder = tmp_path_factory.mktemp("ownership") / "stack"
    with start_local_stack(folder, variables=variables) as stack:
        yield replace(stack, environment={**stack.environment, **fork_server.variables})


@pytest.fixture
def folder(stack: LocalStack, tmp_path: Path) -> Path:
    """The user's working folder; the record is the built-in one before each test."""
    folder = make_project(tmp_path, "work")
    _run(stack, folder, "flavor", "restore")
    return folder


def _environment(stack: LocalStack, **variables: str) -> dict[str, str]:
    """Return the environment of a user who has the package, unlike the server."""
    kept = {k: v for k, v in stack.environment.items() if k != "ZENML_VERTEX_DISABLE"}
    return {**kept, **variables}


def _execute(
    command: list[str], folder: Path, environment: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command, cwd=folder, env=dict(environment), capture_output=True, text=True, timeout=120
    )


def _run(stack: LocalStack, folder: Path, *arguments: str, **variables: str) -> str:
    command = [str(Path(sys.executable).with_name("zenml-vertex")), *arguments]
    done = _execute(command, folder, _environment(stack, **variables))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _zenml(stack: LocalStack, folder: Path, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("zenml")), *arguments]
    done = _execute(command, folder, _environment(stack))
    assert done.returncode == 0, done.stdout + done.stderr
    # Tables go to stdout or stderr, as the terminal has it.
    return done.stdout + done.stderr


def _python(stack: LocalStack, folder: Path, program: str, **variables: str) -> str:
    done = _execute([sys.executable, "-c", program], folder, _environment(stack, **variables))
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _read_record(stack: LocalStack, folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(_python(stack, folder, READ_RECORD))
    return record


def test_install_and_restore_change_the_record_and_nothing_else(
    stack: LocalStack, folder: Path
) -> None:
    """`install` and `restore` change the record, which its component still uses.

    Both are idempotent. After `restore`, the record is as ZenML itself writes it.
    """
    _python(stack, folder, SYNC_FLAVORS)
    before = _read_record(stack, folder)
    assert before["source"] == BUILTIN

    assert "now names zenml-vertex" in _run(stack, folder, "flavor", "install")
    assert "already names zenml-vertex" in _run(stack, folder, "flavor", "install")
    installed = _read_record(stack, folder)
    assert (installed["id"], installed["source"]) == (before["id"], OURS)
    assert installed["is_custom"] is True
    assert "api_endpoint" in installed["config_schema"]["properties"]
    assert installed["connector_resource_type"] == "gcp-generic"
    assert "vertex" in _zenml(stack, folder, "step-operator", "describe", "vertex")

    assert "built-in one again" in _run(stack, folder, "flavor", "restore")
    assert "built-in one already" in _run(stack, folder, "flavor", "restore")
    after = _read_record(stack, folder)
    del before["updated"], after["updated"]
    assert after == before


def test_a_component_with_our_own_settings_needs_the_record(
    stack: LocalStack, folder: Path
) -> None:
    """Once the record is installed, a server without the package accepts our own fields."""
    register = ["step-operator", "register", "own", "--flavor=vertex", "--region=europe-west4"]
    command = [str(Path(sys.executable).with_name("zenml")), *register, "--api_endpoint=h.example"]
    refused = _execute(command, folder, _environment(stack))
    assert refused.returncode != 0
    assert "api_endpoint" in refused.stdout + refused.stderr

    _run(stack, folder, "flavor", "install")
    _zenml(stack, folder, *register, "--api_endpoint=h.example")
    assert "h.example" in _zenml(stack, folder, "step-operator", "describe", "own")


def test_status_names_the_owner_and_the_next_command(stack: LocalStack, folder: Path) -> None:
    """`status` shows the record, this environment, the number of users and the next command."""
    builtin = _run(stack, folder, "flavor", "status")
    assert f"ZenML's built-in flavor ({BUILTIN}), on the ZenML server {stack.zenml_url}" in builtin
    assert "Here     zenml-vertex 0.1.0, by its init hook" in builtin
    assert "step operator" in builtin.splitlines()[2]
    assert "Next     nothing to do here; `zenml-vertex flavor install` is for" in builtin

    disabled = _run(stack, folder, "flavor", "status", ZENML_VERTEX_DISABLE="1")
    assert "Here     ZenML's built-in flavor, because ZENML_VERTEX_DISABLE is set" in disabled

    _run(stack, folder, "flavor", "install")
    installed = _run(stack, folder, "flavor", "status")
    assert f"Record   zenml-vertex ({OURS})" in installed
    assert "`zenml-vertex flavor restore`" in installed


def test_an_upgrade_of_zenml_is_repaired(stack: LocalStack, folder: Path) -> None:
    """After a migration restores the built-in record, `status` says so and `install` repairs it."""
    _run(stack, folder, "flavor", "install")
    _python(stack, folder, SYNC_FLAVORS)
    assert "ZenML's built-in flavor" in _run(stack, folder, "flavor", "status")
    assert "now names zenml-vertex" in _run(stack, folder, "flavor", "install")


def _own_record(stack: LocalStack, user_name: str | None) -> None:
    """Make the record a user's, as if they had deleted ZenML's and registered a flavor."""
    with closing(sqlite3.connect(stack.folder / "zenml-server" / "zenml.db")) as database:
        owner = "(SELECT id FROM user WHERE name = ?)"
        database.execute(
            f"UPDATE flavor SET user_id = {owner} WHERE name = 'vertex' AND type = 'step_operator'",
            [user_name],
        )
        database.commit()


def test_a_missing_permission_is_explained(
    stack: LocalStack, folder: Path, request: pytest.FixtureRequest
) -> None:
    """The refusal names the server and who can help; nothing is changed, and no secret is shown.

    ZenML lets every user change a record that belongs to the server, but not one that belongs to
    another user.
    """
    request.addfinalizer(lambda: _own_record(stack, None))
    _python(stack, folder, CREATE_USER)
    _own_record(stack, USER_NAME)
    environment = _environment(
        stack,
        ZENML_STORE_USERNAME=PLAIN_USER,
        ZENML_STORE_PASSWORD=PASSWORD,
        ZENML_CONFIG_PATH=str(folder / "zenml"),
    )
    command = [str(Path(sys.executable).with_name("zenml-vertex")), "flavor", "install"]
    refused = _execute(command, folder, environment)
    output = refused.stdout + refused.stderr
    assert refused.returncode == 1, output
    assert (
        f"You are not allowed to change the flavor `vertex` on the ZenML server {stack.zenml_url}"
        in output
    )
    assert "administrator" in output
    assert "Traceback" not in output
    assert PASSWORD not in output
    assert _read_record(stack, folder)["source"] == BUILTIN


def test_an_unreachable_server_is_reported(stack: LocalStack, folder: Path) -> None:
    """The error names the server and what to check, without a traceback."""
    with open_listener() as listener:
        unused = url_of(listener)
    environment = _environment(
        stack, ZENML_STORE_URL=unused, ZENML_CONFIG_PATH=str(folder / "zenml")
    )
    command = [str(Path(sys.executable).with_name("zenml-vertex")), "flavor", "status"]
    done = _execute(command, folder, environment)
    output = done.stdout + done.stderr
    assert done.returncode == 1, output
    assert "Error: The ZenML server cannot be reached (" in output
    assert "Traceback" not in output


def test_another_flavor_is_not_replaced(stack: LocalStack, folder: Path) -> None:
    """Another flavor of that name is kept until the user runs `flavor restore`."""
    _python(
        stack,
        folder,
        """
from zenml.client import Client
from zenml.enums import StackComponentType
from zenml.models import FlavorUpdate
kind = StackComponentType.STEP_OPERATOR
flavor = Client().get_flavor_by_name_and_type("vertex", kind)
Client().zen_store.update_flavor(flavor.id, FlavorUpdate(source="theirs.Flavor", is_custom=True))
""",
    )
    assert "another custom flavor (theirs.Flavor)" in _run(stack, folder, "flavor", "status")
    command = [str(Path(sys.executable).with_name("zenml-vertex")), "flavor", "install"]
    refused = _execute(command, folder, _environment(stack))
    assert refused.returncode == 1
    assert "theirs.Flavor" in refused.stderr
    assert "zenml-vertex flavor restore" in refused.stderr
    _run(stack, folder, "flavor", "restore")
    assert "now names" in _run(stack, folder, "flavor", "install")


def test_a_local_database_is_changed_as_a_server_is(
    tmp_path: Path, fork_server: ForkServer
) -> None:
    """Without a server, the commands change the record in the user's own database file.

    One that an earlier version has put there unasked is given back by `restore` alone:
    `status` changes nothing, and says so.
    """
    folder = make_project(tmp_path, "work")
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path),
        "ZENML_CONFIG_PATH": str(tmp_path / "zenml"),
        "ZENML_ANALYTICS_OPT_IN": "false",
        "ZENML_LOGGING_COLORS_DISABLED": "true",
        **fork_server.variables,
    }
    command = [str(Path(sys.executable).with_name("zenml-vertex")), "flavor"]

    def run(verb: str, **variables: str) -> str:
        done = _execute([*command, verb], folder, {**environment, **variables})
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    new = run("status")
    assert f"Record   ZenML's built-in flavor ({BUILTIN}), on the ZenML database /" in new
    assert "by its init hook" in new
    assert f"`{uninstall_command()}` leaves ZenML's built-in step operator\n" in new
    assert "now names" in run("install")
    installed = run("status", ZENML_VERTEX_DISABLE="1")
    assert "by the record, whatever ZENML_VERTEX_DISABLE says" in installed
    assert "Removal  first run `zenml-vertex flavor restore`" in installed
    assert "built-in one again" in run("restore")

    def python(program: str) -> None:
        done = _execute([sys.executable, "-c", program], folder, environment)
        assert done.returncode == 0, done.stderr

    python(PUT_UNASKED)
    python(
        "from zenml.client import Client\n"
        "Client().create_stack_component('own', 'vertex', 'step_operator', "
        "{'region': 'europe-west4', 'api_endpoint': 'h.example'})"
    )
    for _ in range(2):
        unasked = run("status")
        assert f"Record   zenml-vertex ({OURS})" in unasked
        assert "`zenml-vertex flavor restore` gives the record back to ZenML: an earlier" in unasked
    assert "built-in one again" in run("restore")
    put_right = run("status")
    assert f"Record   ZenML's built-in flavor ({BUILTIN})" in put_right
    assert "which ignores or refuses these settings: own: api_endpoint" in put_right


def test_a_servers_unasked_record_is_left_to_a_person(stack: LocalStack, folder: Path) -> None:
    """On a server, `status` changes nothing, and names the command that gives the record back."""
    _python(stack, folder, PUT_UNASKED)
    status = _run(stack, folder, "flavor", "status")
    assert f"Record   zenml-vertex ({OURS})" in status
    assert "Next     `zenml-vertex flavor restore` gives the record back to ZenML" in status
    assert _read_record(stack, folder)["source"] == OURS
    assert "built-in one again" in _run(stack, folder, "flavor", "restore")
