"""Shared fixtures: one local stack for the session, and pipelines that run on it.

`local_stack` is started by the first test that asks for it. Pipelines run in
processes of their own, because ZenML's client keeps its state in the process.
"""

import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.support.forkserver import ForkServer

if TYPE_CHECKING:
    from tests.support.pipelines import RunPipeline, StartPipeline
    from zenml_vertex.local_stack.stack import LocalStack
    from zenml_vertex.local_stack.views.pipelines import Completed, PipelineProcess


def pytest_configure() -> None:
    """Make the processes that tests start interruptible, and property tests patient.

    What a shell starts in the background ignores SIGINT, and passes that on to its processes.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Time per example says how busy the machine is.
    settings.register_profile("any-machine", deadline=None)
    settings.load_profile("any-machine")


# What starts Python, gcloud or a stack, the longest first: folders, modules, single tests.
# Every other test is `quick`.
_SLOW = (
    "tests/containers/test_image_demo.py",
    "tests/clients",
    "tests/steps/test_interruptions.py",
    "tests/cli/test_dead_clients.py",
    "tests/steps/test_clients_that_leave.py",
    "tests/local_stack/test_long_jobs.py",
    "tests/steps/test_endings.py",
    "tests/ownership",
    "tests/steps/test_connections.py",
    "tests/docs/test_examples.py",
    "tests/docs/test_tested.py",
    "tests/containers",
    "tests/steps",
    "tests/cloud/test_client_import.py",
    "tests/cloud/test_logs.py::test_a_second_start_that_fills_the_page_hides_nothing",
    "tests/cloud/test_logs.py::test_only_entries_since_the_creation_are_asked_for",
    "tests/cloud/test_logs.py::test_the_header_of_an_empty_line_is_no_line",
    "tests/docs/test_tutorial.py",
    "tests/docs/test_documented_page.py",
    "tests/local_stack/test_demo.py",
    "tests/cli/test_jobs.py",
    "tests/cli/test_retrying.py",
    "tests/cli/test_zenml_commands.py",
    "tests/cli/test_shells.py",
    "tests/cli/test_step_operators.py",
    "tests/local_stack/test_shell.py",
    "tests/container/test_once.py",
    "tests/container/test_own_failure.py::test_the_terminal_names_what_ended_each_step",
    "tests/benchmarks/test_counting.py",
    "tests/local_stack/test_pipelines.py",
    "tests/local_stack/test_docker_settings.py",
    "tests/local_stack/test_builtin_operator.py",
    "tests/campaign/test_soak.py",
    "tests/campaign/test_campaign.py",
    "tests/campaign/test_regressions.py",
    "tests/test_imports.py",
    "tests/install/test_commands.py::test_the_emulators_package_names_its_extra",
    "tests/cloud/test_gcloud_login.py",
    "tests/emulator/test_gcloud.py",
    "tests/docs/test_least_role.py::test_gcloud_sends_the_role",
    "tests/cloud/test_connector.py",
    "tests/docs/test_other_commands.py",
    "tests/docs/test_reproductions.py",
    "tests/emulator/test_command.py",
    "tests/emulator/test_as_google_command.py",
    "tests/emulator/test_command_secret.py",
    "tests/emulator/test_secret.py::test_a_job_gets_its_token_without_the_secret",
    "tests/emulator/test_testing.py::test_the_plugin_costs_nothing_where_it_is_not_used",
    "tests/emulator/test_testing.py::test_the_plugin_can_be_turned_off",
    "tests/emulator/test_adoption.py",
    "tests/emulator/test_meeting_replicas.py",
    "tests/emulator/test_process_runtime.py",
    "tests/emulator/test_unpacked_images.py",
    "tests/emulator/test_job_client.py",
    "tests/local_stack/test_servers.py",
    "tests/local_stack/test_early_python.py",
    "tests/local_stack/test_images.py",
    "tests/local_stack/test_credentials.py",
    "tests/benchmarks/test_table.py",
    "tests/emulator/test_credentials.py",
    "tests/docs/test_site.py::test_a_broken_link_stops_the_build",
    "tests/emulator/test_crash.py",
    "tests/emulator/test_output.py::test_a_job_prints_long_lines",
    "tests/emulator/test_second_starts.py::test_a_second_start_ends_with_its_emulator",
    "tests/emulator/test_emulator.py",
    "tests/emulator/test_http.py::test_text_in_any_script_is_preserved",
    "tests/emulator/test_http.py::test_logs_are_read_by_their_labels",
    "tests/cloud/test_logs.py::test_the_last_lines_come_in_their_order",
    "tests/cloud/test_connection.py",
    "tests/cloud/test_credentials.py",
    "tests/container/test_exit_timer.py",
)


# What `make test` leaves to `make check`, and so to CI: users' ways from end to end, other
# people's programs, real images, and waits that last minutes. Less of each is among the
# other tests.
_ONLY_IN_CHECK = (
    "tests/clients",
    "tests/containers",
    "tests/docs/test_examples.py",
    "tests/docs/test_tested.py",
    "tests/docs/test_tutorial.py",
    "tests/docs/test_documented_page.py",
    "tests/local_stack/test_demo.py",
    "tests/local_stack/test_long_jobs.py",
    "tests/cloud/test_client_import.py",
)


class _ByModule(LoadScopeScheduling):  # type: ignore[misc]
    """Gives all tests of a module to one worker, and all tests of Docker to one worker."""

    def _split_scope(self, nodeid: str) -> str:
        folder = "tests/containers"
        return folder if nodeid.startswith(folder) else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Keep together what shares fixtures: a module's pipelines, the Docker engine."""
    return _ByModule(config, log)


def _refuse_stale_names(root: Path) -> None:
    """Refuse a name that no test has any more: the test that had it would count as quick."""
    for name in (*_SLOW, *_ONLY_IN_CHECK):
        path, _, test = name.partition("::")
        if not (root / path).exists() or (test and f"def {test}(" not in (root / path).read_text()):
            raise pytest.UsageError(f"tests/conftest.py names {name}, which is not there.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark quick tests, and start with the slowest ones."""
    _refuse_stale_names(config.rootpath)
    ranks = {}
    for item in items:
        rank = next((n for n, name in enumerate(_SLOW) if item.nodeid.startswith(name)), None)
        if rank is None:
            item.add_marker("quick")
        if item.nodeid.startswith(_ONLY_IN_CHECK):
            item.add_marker("only_in_check")
        ranks[item.nodeid] = len(_SLOW) if rank is None else rank
    items.sort(key=lambda item: ranks[item.nodeid])


# The quick test that is running, if any.
_running: list[str] = []


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "subprocess.Popen" and _running:
        program = Path(os.fsdecode(arguments[0])).name
        # That of a container imports almost nothing.
        is_supervisor = any(str(part).endswith("supervisor.py") for part in arguments[1])
        if not is_supervisor and program.startswith(("gcloud", "python", "zenml")):
            raise RuntimeError(
                f"{_running[0]} starts {program}, and `make quick` waits for no such process. "
                "Name its module in _SLOW in tests/conftest.py."
            )


sys.addaudithook(_watch)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Prevent a quick test from starting a slow process."""
    if item.get_closest_marker("quick"):
        _running.append(item.nodeid)
    try:
        return (yield)
    finally:
        _running.clear()


@pytest.fixture(scope="session")
def private_key() -> str:
    """An RSA key in PEM, as in a service account's key file."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """A server that starts processes with its `variables` as copies of one with ZenML imported."""
    with tempfile.TemporaryDirectory() as folder, ForkServer(Path(folder)) as server:
        yield server


@pytest.fixture(scope="session")
def local_stack(
    tmp_path_factory: pytest.TempPathFactory, fork_server: ForkServer
) -> Iterator["LocalStack"]:
    """A ZenML server, a Vertex AI emulator and a Cloud Storage emulator, for the whole session.

    Its stack is active and has the step operator `vertex`. Its pipelines and steps are
    copies of processes that have ZenML imported.
    """
    from zenml_vertex.local_stack.start import start_local_stack

    folder = tmp_path_factory.mktemp("local-stack") / "stack"
    with start_local_stack(folder, variables=fork_server.variables) as stack:
        yield stack


@pytest.fixture
def start_pipeline(
    local_stack: "LocalStack", request: pytest.FixtureRequest
) -> Iterator["StartPipeline"]:
    """Start a pipeline script: `start_pipeline(script, *arguments, environment=None)`."""
    name = re.sub(r"\W+", "-", request.node.name).strip("-")
    with ExitStack() as running:

        def start(
            script: Path | str, *arguments: str, environment: Mapping[str, str] | None = None
        ) -> "PipelineProcess":
            if isinstance(script, Path):
                file = local_stack.make_project(name, script.parent) / script.name
            else:
                file = local_stack.make_project(name) / "pipeline.py"
                file.write_text(dedent(script), "utf-8")
            process = local_stack.start_pipeline(file, *arguments, environment=environment)
            return running.enter_context(process)

        yield start


@pytest.fixture
def run_pipeline(start_pipeline: "StartPipeline") -> "RunPipeline":
    """Run a pipeline script to its end: `run_pipeline(script, *arguments, environment=None)`."""

    def run(
        script: Path | str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        seconds: float = 120.0,
    ) -> "Completed":
        return start_pipeline(script, *arguments, environment=environment).wait(seconds)

    return run
