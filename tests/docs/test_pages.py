"""The pages are correct: links, commands, options, names and generated files."""

import ast
import re
import runpy
import shlex
from datetime import datetime, timedelta, timezone
from pathlib import Path

import click
import pytest

from tests.support.pages import DOCS, PAGES, ROOT, read_blocks, read_commands
from zenml_vertex.cli import main
from zenml_vertex.config import VertexStepOperatorConfig, VertexStepOperatorSettings
from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.machine_choice import Wishes, fit_machine
from zenml_vertex.job.rules import find_problems
from zenml_vertex.local_stack.demo.summary import DemoSummary, format_summary
from zenml_vertex.local_stack.views.vertex import StateChange

SOURCE = ROOT / "src" / "zenml_vertex"
_LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
each_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: str(page.relative_to(ROOT)).replace("/", "-")
)


@each_page
def test_links_work(page: Path) -> None:
    """Every link to a file of this repository leads to an existing file."""
    missing = [
        link for link in _LINK.findall(page.read_text("utf-8")) if not (page.parent / link).exists()
    ]
    assert not missing


@each_page
def test_python_blocks_compile(page: Path) -> None:
    """Every Python block compiles, and what it imports from this package exists."""
    for block in read_blocks(page, "python"):
        tree = ast.parse(block)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("zenml_vertex"):
                exec(compile(ast.Module([node], []), str(page), "exec"), {})


@each_page
def test_settings_on_pages_can_be_used(page: Path) -> None:
    """What a page shows as settings is valid as it stands."""
    for block in read_blocks(page, "python"):
        for call in ast.walk(ast.parse(block)):
            name = getattr(getattr(call, "func", None), "id", None)
            if isinstance(call, ast.Call) and name == "VertexStepOperatorSettings":
                written = _read_literals(call)
                if written is not None:
                    assert find_problems(_read_job(written)) == [], block


def _read_literals(call: ast.Call) -> dict[str, object] | None:
    """The arguments of a call; None where one of them is computed."""
    try:
        return {str(one.arg): ast.literal_eval(one.value) for one in call.keywords}
    except ValueError:
        return None


def _read_job(written: dict[str, object]) -> JobFields:
    """What settings ask for, with the machine that is chosen for them."""
    settings = VertexStepOperatorSettings(**{"region": "europe-west4", **written})  # type: ignore[arg-type]
    return fit_machine(settings.to_job_fields(), Wishes(0, 0, "")).job


@each_page
def test_commands_of_zenml_vertex_exist(page: Path) -> None:
    """Every `zenml-vertex ...` on a page is an existing command with existing options."""
    for line in read_commands(page):
        if line.startswith("zenml-vertex "):
            _check_command(line)


def _check_command(line: str) -> None:
    command: click.Command = main
    context = click.Context(main, info_name="zenml-vertex", **main.context_settings)
    for word in shlex.split(line, comments=True)[1:]:
        if word.startswith("--"):
            names = [name for option in command.get_params(context) for name in option.opts]
            assert word.partition("=")[0] in names, line
        elif isinstance(command, click.Group):
            below = command.get_command(context, word)
            assert below is not None, line
            command = below
            context = click.Context(command, info_name=word, parent=context)
        elif any(parameter.nargs == -1 for parameter in command.params):
            return  # the rest is a command of the user's own


@pytest.mark.parametrize(
    "line",
    [
        "zenml-vertex demonstrate",
        "zenml-vertex demo --keeping",
        "zenml-vertex flavor instal",
        "zenml-vertex local-stack --with-step-operator python x.py",
    ],
)
def test_a_wrong_command_is_noticed(line: str) -> None:
    """A command or an option that does not exist fails the check above."""
    with pytest.raises(AssertionError):
        _check_command(line)


@each_page
def test_options_of_the_step_operator_exist(page: Path) -> None:
    """Every option of `zenml step-operator register` and `update` is a config field."""
    zenmls_own = {"flavor", "connector"}
    for line in read_commands(page):
        if re.match(r"zenml step-operator (register|update) ", line):
            options = set(re.findall(r"--([a-z_]+)", line)) - zenmls_own
            assert options <= set(VertexStepOperatorConfig.model_fields), line


@each_page
def test_targets_of_make_exist(page: Path) -> None:
    """Every `make ...` on a page is a target of the Makefile."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for line in read_commands(page):
        if match := re.match(r"make ([\w-]+)", line):
            assert re.search(rf"^{match[1]}:", makefile, re.MULTILINE), line


@pytest.mark.parametrize(
    ("generator", "page"),
    [
        ("generate_settings.py", "settings.md"),
        ("generate_cli.py", "cli.md"),
        ("generate_emulator_coverage.py", "emulator-coverage.md"),
        ("generate_emulator_api.py", "emulator-api.md"),
    ],
)
def test_generated_pages_are_current(generator: str, page: str) -> None:
    """Each generated page equals its generator's output."""
    rendered = runpy.run_path(str(DOCS / "reference" / generator))["render"]()
    assert (DOCS / "reference" / page).read_text("utf-8") == rendered


def test_the_index_names_every_page() -> None:
    """docs/README.md links to every page, directly or through the index of decisions."""
    for index in (DOCS / "README.md", DOCS / "decisions" / "README.md"):
        linked = {(index.parent / link).resolve() for link in _LINK.findall(index.read_text())}
        folder = index.parent
        for page in folder.rglob("*.md"):
            is_below_another_index = folder == DOCS and page.parent == DOCS / "decisions"
            if page != index and not is_below_another_index:
                assert page in linked, page


def test_there_is_one_page_on_security() -> None:
    """GitHub looks for it in three places, where two once contradicted each other."""
    found = [
        folder for folder in (".github", ".", "docs") if (ROOT / folder / "SECURITY.md").exists()
    ]
    assert found == ["."]


def test_the_readme_agrees_with_the_metadata() -> None:
    """The README's supported versions are those of pyproject.toml."""
    metadata = (ROOT / "pyproject.toml").read_text("utf-8")
    assert 'requires-python = ">=3.10,<3.14"' in metadata
    assert '"zenml>=0.96,<0.99"' in metadata
    assert '"google-cloud-aiplatform>=1.165,<3"' in metadata
    for page in ("README.md", "CONTRIBUTING.md"):
        text = " ".join((ROOT / page).read_text("utf-8").split())
        assert "Python 3.10 to 3.13" in text
        assert "ZenML 0.96 to 0.98, google-cloud-aiplatform 1.165 to 2.x" in text


def test_the_readme_shows_the_end_of_the_demo() -> None:
    """The README shows the summary that the demo prints for the same data."""
    start = datetime(2026, 11, 28, 7, 16, 31, 937_000, tzinfo=timezone.utc)
    summary = DemoSummary(
        job_name="projects/510835001129/locations/europe-west4/customJobs/7004440750033176404",
        history=[
            StateChange("PENDING", start),
            StateChange("RUNNING", start + timedelta(seconds=0.063)),
            StateChange("SUCCEEDED", start + timedelta(seconds=4.063)),
        ],
        accuracy=0.9917,
        test_images=360,
        step_seconds={"load": 0.6, "train": 3.4, "evaluate": 0.2},
        seconds={"servers": 5.6, "registration": 1.3, "pipeline": 6.6, "clean-up": 0.5},
    )
    printed = "\n".join([*format_summary(summary), "", "Nothing is left running.", ""])
    assert printed in read_blocks(ROOT / "README.md", "")
