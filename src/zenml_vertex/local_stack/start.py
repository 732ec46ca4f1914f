"""Starts the servers side by side, registers the stack, and ends everything again."""

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vertex_emulator import write_key_file
from zenml_vertex.installation import has_init_hook, install_command, reinstall_command
from zenml_vertex.local_stack.credentials import activate_in_gcloud
from zenml_vertex.local_stack.environment import (
    Layout,
    Operator,
    Secrets,
    build_base_environment,
    build_client_environment,
    build_emulator_environment,
    build_server_environment,
    choose_flavor_source,
    choose_operator,
    lead_to_google,
    log_in_with_token,
    read_exports,
)
from zenml_vertex.local_stack.phases import Phases
from zenml_vertex.local_stack.processes.early_python import EarlyPython
from zenml_vertex.local_stack.processes.ending import hold_signals
from zenml_vertex.local_stack.processes.loopback import open_listener
from zenml_vertex.local_stack.processes.servers import Server, StartError, read_log
from zenml_vertex.local_stack.registration import (
    STACK_NAME,
    Registered,
    StackPlan,
    register_stack,
)
from zenml_vertex.local_stack.stack import LocalStack
from zenml_vertex.local_stack.views.vertex import VertexJobsView
from zenml_vertex.local_stack.views.zenml import RecordsError, ZenMLRecords

if TYPE_CHECKING:
    from zenml_vertex.local_stack.images import ImagePlan, ImageServices

# On two cores the ZenML server takes 5 s; a busy machine, or one that has not read ZenML's
# files yet, may take twenty times as long.
_READY_SECONDS = 180.0

Progress = Callable[[str], None]


@contextmanager
def start_local_stack(
    folder: Path,
    *,
    plan: StackPlan | None = None,
    progress: Progress = lambda _: None,
    variables: Mapping[str, str] | None = None,
    emulator_options: Sequence[str] = (),
    operator: Operator = "plugin",
    images: "ImagePlan | None" = None,
    early_imports: Sequence[str] = (),
    as_google: bool = False,
) -> Iterator[LocalStack]:
    """Start a stack; every process of it is gone at the end, also after an exception.

    Args:
        folder: Folder of its own; made here, and left to the caller.
        plan: What the components are registered with.
        progress: Is told what happens, in single lines.
        variables: More environment variables of every process.
        emulator_options: More options of `zenml-vertex emulator`.
        operator: Whose flavor `vertex` is: this package's, or ZenML's own, unmodified.
        images: With a plan, step images are built, pushed, pulled and run, by the
            Docker engine that answers; otherwise jobs are plain processes.
        early_imports: Modules that the process of the first pipeline imports while the servers
            start; without any, it starts when it is asked for.
        as_google: Clients find the emulator under Google's own host names, and by no variable
            that names it.

    Raises:
        StartError: If a part does not start, or another operator would run.
    """
    _require_hook(operator)
    plan = plan or StackPlan()
    layout = Layout(folder.absolute())
    layout.make_folders()
    known = Secrets(password=secrets.token_urlsafe(24), jwt_key=secrets.token_urlsafe(48))
    base = build_base_environment(os.environ, layout)
    base |= {**choose_operator(operator, as_google=as_google), **(variables or {})}
    phases = Phases()
    with ExitStack() as running:
        services = None
        if images:
            phases.begin("images")
            services = _open_images(running, layout, base, images, progress)
            base["DOCKER_HOST"] = services.docker_host
            plan = replace(plan, registry_uri=services.registry)
            emulator_options = ["--runtime", "docker", *emulator_options]
        else:
            plan = replace(plan, image_dir=str(layout.images))
            emulator_options = ["--image-dir", str(layout.images), *emulator_options]
        phases.begin("servers")
        progress("Starting a ZenML server, a Vertex AI emulator and a Cloud Storage emulator.")
        storage = _start_storage(running, layout, base, plan.bucket)
        zenml = _start_zenml(running, layout, base, known, storage_url=storage.url)
        if as_google:
            emulator_options = ["--as-google", *emulator_options]
        emulator = _start_emulator(
            running, layout, base, emulator_options, project=plan.project, storage_url=storage.url
        )
        early = None
        if early_imports:
            early = EarlyPython(early_imports, base)
            running.callback(early.end)
        for server in (storage, emulator):
            _wait_for(server, progress)
        write_key_file(layout.key_file, project=plan.project, token_url=f"{emulator.url}/token")
        activate_in_gcloud(layout.gcloud, layout.key_file)
        environment = build_client_environment(
            base,
            layout,
            known,
            zenml_url=zenml.url,
            storage_url=storage.url,
            emulator_url=emulator.url,
        )
        if as_google:
            environment = lead_to_google(environment, read_exports(read_log(emulator.log)))
        _wait_for(zenml, progress)
        phases.begin("registration")
        progress("Registering the stack.")
        records = ZenMLRecords(zenml.url, known.password)
        token, registered = _register(records, plan)
        phases.end()
        progress(f"Stack `{STACK_NAME}`: {plan.describe()}.")
        flavor_source = choose_flavor_source(operator, registered.flavor_source)
        progress(f"The flavor `vertex` is {flavor_source}.")
        yield LocalStack(
            folder=layout.folder,
            zenml_url=zenml.url,
            storage_url=storage.url,
            emulator_url=emulator.url,
            flavor_source=flavor_source,
            environment={
                **environment,
                **log_in_with_token(token),
                "ZENML_ACTIVE_STACK_ID": registered.stack_id,
            },
            secrets=(
                known.password,
                known.jwt_key,
                token,
                *([services.password] if services and services.password else ()),
            ),
            records=records,
            jobs=VertexJobsView(emulator.url, plan.project, plan.region),
            images=services,
            early=early,
            seconds=phases.seconds,
        )


def _open_images(
    running: ExitStack,
    layout: Layout,
    base: Mapping[str, str],
    plan: "ImagePlan",
    progress: Progress,
) -> "ImageServices":
    # The package `docker` is needed for this alone.
    from zenml_vertex.local_stack.images import open_image_services

    services = open_image_services(
        plan, layout.logs / "registry.log", base, progress, logins=layout.docker
    )
    return running.enter_context(services)


def _start_storage(
    running: ExitStack, layout: Layout, base: Mapping[str, str], bucket: str
) -> Server:
    with hold_signals():
        server = Server(
            "Cloud Storage emulator",
            "zenml_vertex.local_stack.programs.storage_server:main",
            [bucket],
            environment=base,
            log=layout.logs / "storage.log",
            listener=open_listener(),
        )
        running.callback(server.stop)
    return server


def _start_zenml(
    running: ExitStack, layout: Layout, base: Mapping[str, str], known: Secrets, *, storage_url: str
) -> Server:
    with hold_signals():
        server = Server(
            "ZenML server",
            "zenml_vertex.local_stack.programs.zenml_server:main",
            environment=build_server_environment(base, layout, known, storage_url=storage_url),
            log=layout.logs / "zenml.log",
            listener=open_listener(),
            health_path="/health",
        )
        running.callback(server.stop)
    return server


def _start_emulator(
    running: ExitStack,
    layout: Layout,
    base: Mapping[str, str],
    options: Sequence[str],
    *,
    project: str,
    storage_url: str,
) -> Server:
    with hold_signals():
        server = Server(
            "Vertex AI emulator",
            "zenml_vertex.cli:main",
            ["emulator", "--port", "0", "--data-dir", str(layout.emulator), *options],
            environment=build_emulator_environment(base, project=project, storage_url=storage_url),
            log=layout.logs / "vertex.log",
            health_path="/emulator/health",
        )
        running.callback(server.stop)
    return server


def _wait_for(server: Server, progress: Progress) -> None:
    server.wait_until_ready(_READY_SECONDS, progress)
    progress(f"{server.name} is ready at {server.url}.")


def _require_hook(operator: Operator) -> None:
    """Refuse to run ZenML's own operator where this package's is asked for.

    Raises:
        StartError: If this environment lacks the init hook; it says what brings it.
    """
    if operator == "plugin" and not has_init_hook():
        again = reinstall_command() or install_command("demo")
        raise StartError(
            "The flavor `vertex` is ZenML's own in this environment, because zenml-vertex was "
            f"installed before it had its init hook. Run `{again}`."
        )


def _register(records: ZenMLRecords, plan: StackPlan) -> tuple[str, Registered]:
    """Log in and register the stack; returns the token, and what was registered.

    Raises:
        StartError: If the ZenML server refuses.
    """
    try:
        return records.log_in(), register_stack(records, plan)
    except (OSError, RecordsError) as error:
        raise StartError(f"Registering the stack failed: {error}") from error
