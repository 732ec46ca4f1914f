"""Which step operator `zenml-vertex jobs` works with, and what it says without one."""

import json
import subprocess
import sys

import pytest

from zenml_vertex.local_stack.stack import LocalStack, make_project

# One process for all questions, because ZenML takes seconds to be imported.
_PROGRAM = """
import json, os, sys
from click.testing import CliRunner
from zenml.client import Client
from zenml.config.global_config import GlobalConfiguration
from zenml.enums import StackComponentType as Type
from zenml.login.credentials_store import CredentialsStore
from zenml_vertex.cli import main

client = Client()
for name in ("cli-pods", "cli-pool"):
    client.create_stack_component(name, "kubernetes", Type.STEP_OPERATOR, {})
default = client.list_stacks(name="default").items[0]
parts = {kind: [part.id for part in found] for kind, found in default.components.items()}
bare = client.create_stack("cli-bare", parts).id
pods = client.create_stack("cli-pods", {**parts, Type.STEP_OPERATOR: "cli-pods"}).id
evil = client.create_stack_component("v; echo #\\x1b]0;pwned\\a", "vertex", Type.STEP_OPERATOR,
    {"region": "us-central1", "project": "p\\x1b]0;pwned\\a\\nStep `x`: SUCCEEDED"})
pods_named = client.create_stack_component(
    "k\\x1b]0;pwned\\a", "kubernetes", Type.STEP_OPERATOR, {})
named = client.create_stack("s\\x1b]0;pwned\\a", {**parts, Type.STEP_OPERATOR: pods_named.name}).id
stacks = {"BARE": str(bare), "PODS": str(pods), "NAMED": str(named)}
for title, arguments, variables in json.load(sys.stdin):
    kept = dict(os.environ)
    for name, text in variables.items():
        os.environ.pop(name, None)
        if text is not None:
            os.environ[name] = stacks.get(text, text)
    Client._reset_instance()
    GlobalConfiguration._reset_instance()
    CredentialsStore.reset_instance()
    arguments = [str(evil.id) if text == "EVIL" else text for text in arguments]
    result = CliRunner().invoke(main, arguments, prog_name="zenml-vertex")
    os.environ.clear()
    os.environ.update(kept)
    print("ANSWER", json.dumps([title, result.exit_code, result.output]))
Client._reset_instance()
Client().delete_stack(named)
for component in (evil, pods_named):
    Client().delete_stack_component(component.id, Type.STEP_OPERATOR)
"""

_STACK = "ZENML_ACTIVE_STACK_ID"
_TOKEN = "ZENML_STORE_API_TOKEN"
_CASES = {
    "no step operator": (
        ["jobs", "list"],
        {_STACK: "BARE"},
        [
            "The active stack `cli-bare` has no step operator. Those of flavor `vertex`: `",
            "Add `--step-operator vertex` to this command, or run `zenml stack update -s vertex`.",
        ],
    ),
    "another flavor": (
        ["jobs", "cancel", "--orphans"],
        {_STACK: "PODS"},
        ["`cli-pods` is of flavor `kubernetes`, and not `vertex`.", "`--step-operator vertex`"],
    ),
    "named, of another flavor": (
        ["jobs", "list", "--step-operator", "cli-pods"],
        {},
        ["`cli-pods` is of flavor `kubernetes`", "`--step-operator vertex`"],
    ),
    "named to steer a terminal": (
        ["jobs", "list"],
        {_STACK: "NAMED"},
        [
            "The step operator `k` is of flavor `kubernetes`",
            "`v; echo #`",
            "`--step-operator vertex`",
        ],
    ),
    "with a project that steers a terminal": (
        ["jobs", "list", "--step-operator", "EVIL"],
        {},
        ["The Google Cloud project that is set is not the ID of a project", "--project=PROJECT_ID"],
    ),
    "named, unknown": (
        ["jobs", "list", "--step-operator", "nobody"],
        {},
        ["There is no step operator `nobody`. `zenml step-operator list` shows them."],
    ),
    "named, ambiguous": (
        ["jobs", "list", "--step-operator", "cli-po"],
        {},
        [
            "`cli-po` is the beginning of more than one step operator's name or ID: `cli-pods` and "
            "`cli-pool`. Name one of them in full."
        ],
    ),
    "not the ID of a stack": (
        ["jobs", "list"],
        {_STACK: "cli-bare"},
        [f"{_STACK} is `cli-bare`, which is not the ID of a stack", "`zenml stack list`"],
    ),
    "no such stack": (
        ["jobs", "list"],
        {_STACK: "00000000-0000-4000-8000-000000000000"},
        [f"{_STACK} is `00000000-0000-4000-8000-000000000000`", "`zenml stack list`"],
    ),
    "not logged in": (
        ["jobs", "list"],
        {_TOKEN: None, "ZENML_CONFIG_PATH": "empty"},
        ["You are not logged in to the ZenML server http", "`zenml login http"],
    ),
    "a bad token": (
        ["jobs", "list"],
        {_TOKEN: "t0ken"},
        [f"does not accept the credentials in {_TOKEN}", f"without {_TOKEN}, `zenml login http"],
    ),
    "not logged in, flavor": (
        ["flavor", "status"],
        {_TOKEN: None, "ZENML_CONFIG_PATH": "empty"},
        ["You are not logged in to the ZenML server http", "`zenml login http"],
    ),
    "not a URL": (
        ["flavor", "status"],
        {"ZENML_STORE_URL": "ftp://me:t0ken@nowhere.invalid"},
        ["`zenml-vertex flavor status` failed unexpectedly: ", "url", "--traceback flavor status"],
    ),
    "not a URL, jobs": (
        ["jobs", "list", "--orphans"],
        {"ZENML_STORE_URL": "ftp://me:t0ken@nowhere.invalid"},
        ["`zenml-vertex jobs list` failed unexpectedly", "url", "--traceback jobs list --orphans"],
    ),
}


@pytest.fixture(scope="module")
def answers(
    local_stack: LocalStack, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[int, str]]:
    """Title of a case -> exit status and output."""
    folder = make_project(tmp_path_factory.mktemp("step-operators"), "work")
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        input=json.dumps([[title, *case[:2]] for title, case in _CASES.items()]),
        cwd=folder,
        env=dict(local_stack.environment),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line[7:]) for line in done.stdout.splitlines() if line.startswith("ANSWER")]
    return {title: (code, output) for title, code, output in found}


@pytest.mark.parametrize("title", _CASES)
def test_what_is_missing_is_named_with_a_cure(
    answers: dict[str, tuple[int, str]], title: str
) -> None:
    """Without a step operator, a stack or a login, one line names it and the command that helps."""
    code, output = answers[title]
    assert code == 1
    [line] = [line for line in output.splitlines() if line.startswith("Error: ")]
    for text in _CASES[title][2]:
        assert text in line
    assert "Traceback" not in output
    # Whoever may name a component could steer the terminals of all others.
    assert "\x1b" not in output
    assert "SUCCEEDED" not in output
    assert "t0ken" not in output
