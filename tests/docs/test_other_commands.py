"""Commands of gcloud and ZenML on the pages and in messages exist, with their options."""

import os
import re
import runpy
import shlex
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest

from tests.support.pages import PAGES, ROOT, read_commands
from tests.support.quotes import read_templates


@cache
def read_printed() -> list[str]:
    """Every command between backticks in a message of this package; gaps are an X."""
    templates = read_templates((ROOT / "src").rglob("*.py"))
    texts = ["".join("X" if part is None else part for part in template) for template in templates]
    return [command for text in texts for command in re.findall(r"`([^`]+)`", text)]


def find_commands(program: str) -> Iterator[str]:
    """Every command of a program that a page or a message shows."""
    shown = [line.strip() for page in PAGES for line in read_commands(page)] + read_printed()
    return (line for line in sorted(set(shown)) if re.match(rf"{program} [a-z]", line))


@cache
def read_gcloud() -> dict[str, Any]:
    """The commands and flags of the installed gcloud: its own table, made for completion."""
    program = shutil.which("gcloud")
    if program is None:
        pytest.skip("gcloud is not installed: its commands on the pages are not checked")
    table = Path(os.path.realpath(program)).parents[1] / "data" / "cli" / "gcloud_completions.py"
    tree: dict[str, Any] = runpy.run_path(str(table))["STATIC_COMPLETION_CLI_TREE"]
    return tree


def check_gcloud(line: str) -> None:
    """Follow a command through the table, and look up its flags."""
    node = tree = read_gcloud()
    for word in shlex.split(line, comments=True)[1:]:
        name = word.partition("=")[0]
        if word.startswith("--"):
            assert name in node["flags"] or name in tree["flags"], line
        elif node["commands"]:
            assert name in node["commands"], line
            node = node["commands"][name]


def check_zenml(line: str) -> None:
    """Follow a command through ZenML's own tree, and look up its options."""
    from zenml.cli.cli import cli

    command: click.Command = cli
    context = click.Context(command)
    for word in shlex.split(line, comments=True)[1:]:
        if isinstance(command, click.Group):
            below = command.get_command(context, word)
            assert below is not None, line
            command, context = below, click.Context(below, parent=context)
        elif word.startswith("-") and not command.context_settings.get("ignore_unknown_options"):
            names = {name for item in command.params for name in (*item.opts, *item.secondary_opts)}
            assert word.partition("=")[0] in names, line


def test_commands_of_gcloud_exist() -> None:
    """Every `gcloud ...` that a page or a message shows is a command with existing flags."""
    commands = list(find_commands("gcloud"))
    assert len(commands) > 20
    for line in commands:
        check_gcloud(line)


def test_commands_of_zenml_exist() -> None:
    """Every `zenml ...` that a page or a message shows is a command with existing options."""
    commands = list(find_commands("zenml"))
    assert len(commands) > 20
    for line in commands:
        check_zenml(line)


@pytest.mark.parametrize(
    "line", ["gcloud ai custom-job list", "gcloud ai custom-jobs list --state=RUNNING"]
)
def test_a_wrong_command_of_gcloud_is_noticed(line: str) -> None:
    """A command or a flag that does not exist fails the test above."""
    with pytest.raises(AssertionError):
        check_gcloud(line)


@pytest.mark.parametrize("line", ["zenml stack change -s x", "zenml stack list --operator=x"])
def test_a_wrong_command_of_zenml_is_noticed(line: str) -> None:
    """A command or an option that does not exist fails the test above."""
    with pytest.raises(AssertionError):
        check_zenml(line)
