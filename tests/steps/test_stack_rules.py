"""What is refused, in which words, and how early: stacks, settings, images and projects."""

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.pipelines import StartShared
from zenml_vertex.local_stack.stack import LocalStack
from zenml_vertex.steps.stack_rules import find_stack_problem


@dataclass
class Tried:
    """The error texts that `pipelines/refusals.py` found; empty where there was no error."""

    results: Mapping[str, str]
    output: str
    stack: LocalStack


@pytest.fixture(scope="module")
def tried(local_stack: LocalStack, start_shared: StartShared) -> Tried:
    """The results of all attempts, made in one process."""
    process = start_shared(
        "refusals",
        KEY_FILE=local_stack.environment["GOOGLE_APPLICATION_CREDENTIALS"],
        EMULATOR_URL=local_stack.emulator_url,
    )
    completed = process.wait()
    assert completed.returncode == 0, completed.output
    results = local_stack.folder / "projects" / "refusals" / "results.json"
    return Tried(json.loads(results.read_text("utf-8")), completed.output, local_stack)


@pytest.mark.parametrize(
    ("stack", "reason", "cure"),
    [
        ("local-store", "local artifact store `default`", "`zenml artifact-store register"),
        ("localhost", "cannot reach the local one `localhost`", "`zenml container-registry reg"),
        ("no-registry", "and the stack has none", "`zenml container-registry register"),
    ],
)
def test_a_stack_that_vertex_cannot_reach_is_refused(
    tried: Tried, stack: str, reason: str, cure: str
) -> None:
    """The error gives the reason and the commands that correct the stack."""
    assert reason in tried.results[stack]
    assert cure in tried.results[stack]
    assert f"`zenml stack update refusals-{stack} " in tried.results[stack]


@dataclass
class Part:
    """What the rules read of a stack's component."""

    name: str
    config: SimpleNamespace


@pytest.mark.parametrize(
    "name", ["s; touch planted #", "s$(touch planted)", "-o s", "s\x1b]0;pwned\a"]
)
@pytest.mark.parametrize("missing", ["store", "registry", "builder", "remote registry"])
def test_a_copied_command_runs_nothing_else(name: str, missing: str) -> None:
    """Whoever may name a stack ran code as those who copied the command that an error gave them."""
    config = SimpleNamespace(is_local=missing == "store", uri="u\x1b[2J")
    registry = Part(
        "r\x1b[2J", SimpleNamespace(is_local=missing == "remote registry", uri="u\x1b[2J")
    )
    stack: Any = SimpleNamespace(
        name=name,
        id="5f0e",
        artifact_store=Part("a\x1b[2J", config),
        container_registry=None if missing == "registry" else registry,
        image_builder=None,
    )
    problem = find_stack_problem(stack)
    assert problem
    assert problem.isprintable()
    [command] = re.findall(r"`(zenml stack update .+)`\.$", problem)
    assert shlex.split(command)[3] in {name, "5f0e"}
    assert not shlex.split(command)[3].startswith("-")


@pytest.mark.parametrize("registry", ["gcr", "artifact-registry", "docker-hub", "company"])
def test_every_remote_registry_is_accepted(tried: Tried, registry: str) -> None:
    """Google's registries are accepted, and any other remote registry too."""
    assert tried.results[registry] == ""


@pytest.mark.parametrize(
    ("attempt", "words"),
    [
        ("gpu-without-type", "step `train`: `gpu_count` of ResourceSettings is 2 and"),
        ("type-without-count", "`NVIDIA_TESLA_T4` and `accelerator_count` is not set"),
        ("unknown-setting", "there is no setting `machine_typ`. Did you mean `machine_type`?"),
        ("wrong-step", "Vertex settings of step `train` have 4 problems:"),
        ("wrong-step", "`boot_disk_size_gb` is `big`, and must be an integer"),
        ("wrong-step", "`region` is `False`, and must be a string: put it in quotes."),
        ("wrong-step", "Did you mean `lingering_seconds`?"),
        ("wrong-step", "`gpu_count` of ResourceSettings is 2 and"),
        ("wrong-pipeline", "step `train`: `project` is `123456789012`, and must be a string"),
        ("wrong-component", "`boot_disk_size_gb` is `big`, and must be an integer"),
    ],
)
def test_invalid_settings_are_refused_before_a_build(
    tried: Tried, attempt: str, words: str
) -> None:
    """Settings that cannot work are refused in these words before an image is built."""
    assert words in tried.results[attempt]
    before, _, _ = tried.output.partition("refused until here")
    assert "Building Docker image" not in before
    assert "Dashboard URL" not in before


def test_a_dynamic_step_without_an_image_says_how_to_build_one(tried: Tried) -> None:
    """The error names `depends_on`, unlike ZenML's "Missing build for snapshot"."""
    assert "name the step in `@pipeline(depends_on=[...])`" in tried.results["unbuilt"]
    assert "ZenML has built no image for this pipeline run." in tried.results["unbuilt"]
    assert "manually deleted" not in tried.results["unbuilt"]


def test_a_dynamic_step_that_names_its_image_needs_no_build(tried: Tried) -> None:
    """A dynamic step with `skip_build` and `parent_image` needs no build."""
    assert tried.results["prebuilt"] == ""
    images = [
        job["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]["imageUri"]
        for job in tried.stack.jobs.fetch_all()
        if job["labels"]["zenml-step"] == "prebuilt"
    ]
    assert images == ["europe-docker.pkg.dev/p/r/i:1"]


def test_a_connector_provides_the_project(tried: Tried) -> None:
    """A component without a project uses the connector's, and the log names the identity."""
    assert tried.results["connected"] == ""
    assert re.search(
        r"Vertex AI: acting as .*connector `gcp`.* in project `demo-project`", tried.output
    )


def test_two_different_projects_are_refused_before_a_build(tried: Tried) -> None:
    """Different projects in component and connector are refused before an image is built."""
    assert "configured for project `another-project`" in tried.results["torn"]
    assert "service connector for project `demo-project`" in tried.results["torn"]
    assert "static-torn" not in tried.output
