"""The user's own shell on a local stack: real shells on a real terminal, without the servers."""

import os
import pty
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from zenml_vertex.cli import main
from zenml_vertex.local_stack import start
from zenml_vertex.local_stack.shells import ShellPlan, plan_shell

SECONDS = 30

# What start files of users do: settings of their own, a search path of their own, a prompt.
EXPORTS = """
export CLOUDSDK_CONFIG=/users/gcloud
export GOOGLE_CLOUD_PROJECT=users-project
export ZENML_STORE_URL=https://zenml.example.com
export PATH=/usr/bin:/bin
export GREETING=hello
export ZENML_ANALYTICS_OPT_IN=true
export DOCKER_CONFIG=/users/docker
alias greet='echo greeted'
"""
START_FILES = {
    ".bashrc": f"{EXPORTS}set -u\nPROMPT_COMMAND='PS1=\"mine> \"; '\n",
    ".zshenv": "export FROM_ZSHENV=yes\n",
    ".zshrc": f"{EXPORTS}PROMPT='mine> '\nHISTFILE=${{ZDOTDIR:-$HOME}}/.zsh_history\nSAVEHIST=9\n",
    ".shrc": f"{EXPORTS}PS1='mine> '\n",
    ".config/fish/config.fish": (
        f"{EXPORTS}set -Ux CLOUDSDK_CORE_PROJECT users-project\n"
        'function fish_prompt; echo -n "$status mine> "; end\n'
    ),
}
COMMANDS = """\
greet
echo kept >~/kept.txt
echo "gcloud: $CLOUDSDK_CONFIG, secret: $ZENML_DEFAULT_USER_PASSWORD, greeting: $GREETING"
echo "zenml: $ZENML_STORE_URL"
echo "users: $(env | grep -c users-project)"
echo "the same outside: $ZENML_ANALYTICS_OPT_IN, $DOCKER_CONFIG"
tool
exit 7
"""
PASSWORD = 'it\'s "q" \\ $HOME `id`'


@dataclass(frozen=True)
class Ended:
    """A shell that has ended."""

    status: int
    output: str
    home: Path


def _run_shell(
    name: str, tmp_path: Path, files: dict[str, str], commands: str, **given: str
) -> Ended:
    """Type commands into a shell on a terminal, with the start files of a user."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"{name} is not installed")
    home = tmp_path / "it's home"
    for file, content in files.items():
        (home / file).parent.mkdir(parents=True, exist_ok=True)
        (home / file).write_text(content, "utf-8")
    tool = tmp_path / "bin" / "tool"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho the stack has this tool\n", "utf-8")
    tool.chmod(0o755)
    outside = {
        "HOME": str(home),
        "TERM": "dumb",
        "PATH": "/usr/bin:/bin",
        "ZENML_ANALYTICS_OPT_IN": "false",
        "DOCKER_CONFIG": "/stack/docker",
        **given,
    }
    inside = {
        **outside,
        "PATH": f"{tool.parent}:{outside['PATH']}",
        "CLOUDSDK_CONFIG": "/stack/gcloud",
        "ZENML_STORE_URL": "http://127.0.0.1:1",
        "ZENML_DEFAULT_USER_PASSWORD": PASSWORD,
    }
    plan = plan_shell(program, inside, outside, tmp_path / "a 'folder'")
    for path, content in plan.files.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, "utf-8")
    ours, terminal = pty.openpty()
    process = subprocess.Popen(
        # The first terminal that the leader of a session opens is the one that it controls.
        ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(terminal), *plan.command],
        env=dict(plan.environment), stdin=terminal, cwd=tmp_path, start_new_session=True,
    )  # fmt: skip
    os.close(terminal)
    os.write(ours, commands.encode())
    pieces = []
    try:
        while piece := os.read(ours, 4096):
            pieces.append(piece)
    except OSError:
        # Linux tells so that nobody has the terminal open any more.
        pass
    finally:
        os.close(ours)
    output = b"".join(pieces).decode("utf-8", "replace")
    return Ended(process.wait(SECONDS), output, home)


@pytest.mark.parametrize("name", ["bash", "zsh", "fish", "dash"])
def test_a_shell_is_the_users_and_works_with_the_stack(name: str, tmp_path: Path) -> None:
    """The user's start files are read and unchanged, HOME is kept, and the prompt says where.

    What the start files export of ZenML's and Google's is neither used nor seen, also where the
    stack's value is that of the user's environment; and the stack's programs come first.
    """
    ended = _run_shell(name, tmp_path, START_FILES, COMMANDS, ENV="$HOME/.shrc")
    assert ended.status == 7, ended.output
    assert re.search(r"\(local-stack\) (\d )?mine> ", ended.output)
    for line in (
        "greeted",
        f"gcloud: /stack/gcloud, secret: {PASSWORD}, greeting: hello",
        "zenml: http://127.0.0.1:1",
        "users: 0",
        "the same outside: false, /stack/docker",
        "the stack has this tool",
    ):
        assert f"{line}\r\n" in ended.output, ended.output
    assert (ended.home / "kept.txt").read_text("utf-8") == "kept\n"
    for file, content in START_FILES.items():
        assert (ended.home / file).read_text("utf-8") == content


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("bash", ".bash_history"),
        ("zsh", ".zsh_history"),
        ("fish", ".local/share/fish/fish_history"),
    ],
)
def test_what_is_typed_is_in_the_users_history(name: str, file: str, tmp_path: Path) -> None:
    """History goes where it always goes."""
    ended = _run_shell(name, tmp_path, START_FILES, COMMANDS)
    assert "echo kept" in (ended.home / file).read_text("utf-8"), ended.output


def test_a_shell_without_start_files_has_a_prompt(tmp_path: Path) -> None:
    """A plain `sh` says where it is, and shows no error."""
    ended = _run_shell("sh", tmp_path, {".keep": ""}, "exit 7\n")
    assert ended.status == 7
    assert "(local-stack) " in ended.output
    assert "not found" not in ended.output


def test_zsh_reads_the_folder_that_zdotdir_names(tmp_path: Path) -> None:
    """A user's ZDOTDIR is read in place of HOME, and is the same in the shell."""
    files = {"z/.zshrc": "echo read $ZDOTDIR\n", "z/.zshenv": "", ".zshrc": "echo wrong file\n"}
    folder = str(tmp_path / "it's home" / "z")
    ended = _run_shell("zsh", tmp_path, files, "exit 7\n", ZDOTDIR=folder)
    assert ended.status == 7
    assert f"read {folder}" in ended.output
    assert "wrong file" not in ended.output
    assert "(local-stack) " in ended.output


@pytest.mark.parametrize("shell", ["/opt/bin/nu", "xonsh", "/bin/csh"])
def test_an_unknown_shell_is_started_as_it_is(shell: str, tmp_path: Path) -> None:
    """A shell that nobody has thought of gets the stack's variables, and is known to be unknown."""
    plan = plan_shell(shell, {"PATH": "/bin"}, {}, tmp_path)
    assert plan == ShellPlan((shell,), {"PATH": "/bin"}, {}, is_known=False)
    assert plan_shell("/bin/bash", {"PATH": "/bin"}, {}, tmp_path).is_known


@pytest.fixture
def handlers() -> Iterator[None]:
    """Puts back what a command does on signals, which is run in this process."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(("name", "is_told"), [("nu", True), ("dash", False)])
def test_a_user_is_told_that_a_shell_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, is_told: bool
) -> None:
    """What the start files of an unknown shell can do is said, with a command that avoids it."""
    shell = tmp_path / name
    shell.write_text("#!/bin/sh\nexit 7\n", "utf-8")
    shell.chmod(0o755)
    stack = SimpleNamespace(environment={"PATH": "/usr/bin:/bin"})
    monkeypatch.setattr(start, "start_local_stack", lambda *_, **__: nullcontext(stack))
    monkeypatch.setenv("SHELL", str(shell))
    result = CliRunner().invoke(main, ["local-stack"])
    assert result.exit_code == 7
    assert ("does not know the shell `nu`" in result.stderr) is is_told
    assert bool(re.search(r"env SHELL=/\S+sh zenml-vertex local-stack\n", result.stderr)) is is_told


def test_the_password_is_not_in_the_repr(tmp_path: Path) -> None:
    """A plan that ends up in a log line shows no password."""
    environment = {"PATH": "/bin", "ZENML_DEFAULT_USER_PASSWORD": "the-password"}
    assert "the-password" not in repr(plan_shell("bash", environment, {}, tmp_path))
