"""What holds for every command: help, suggestions, and errors as sentences."""

import errno
import logging
import shlex
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from zenml_vertex.cli import main
from zenml_vertex.cli.group import Group
from zenml_vertex.installation import FORMER_HOOK


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="zenml-vertex")


def _iter_paths(group: click.Group, *above: str) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    yield above
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _iter_paths(command, *above, name)
        else:
            yield (*above, name)


PATHS = list(_iter_paths(main))


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_every_command_has_a_short_option_for_help(path: tuple[str, ...]) -> None:
    """`-h` is `--help` at every level, and the lists of commands are not cut off."""
    short, long = _run(*path, "-h"), _run(*path, "--help")
    assert short.exit_code == 0
    assert short.output == long.output
    assert short.output.startswith(" ".join(("Usage: zenml-vertex", *path)))
    assert "..." not in short.output.replace("]...", "")


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_help_is_a_command_too(path: tuple[str, ...]) -> None:
    """`help COMMAND` is `COMMAND --help`, at every level."""
    help_ = _run(*path, "--help")
    assert (_run("help", *path).exit_code, _run("help", *path).output) == (0, help_.output)
    *above, last = path or ("",)
    assert not above or _run(*above, "help", last).output == help_.output


def test_what_is_said_of_help_agrees() -> None:
    """The welcome and a usage error tell the same option."""
    assert "`zenml-vertex --help`" in _run().output
    assert "Try 'zenml-vertex --help'" in _run("xyzzy").stderr


def test_called_alone_it_says_what_to_do() -> None:
    """A bare `zenml-vertex` names a command for each thing people want, and succeeds."""
    result = _run()
    assert result.exit_code == 0
    for command in ("zenml-vertex demo\n", "local-stack python", "--flavor=vertex", "jobs list\n"):
        assert command in result.output
    assert result.output.endswith("`zenml-vertex --help` shows every command.\n")


@pytest.mark.parametrize("group", ["jobs", "flavor"])
def test_a_group_called_alone_shows_its_help(group: str) -> None:
    """A bare group shows its commands on stdout, and succeeds."""
    result = _run(group)
    assert (result.exit_code, result.stdout) == (0, _run(group, "-h").stdout)


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        ("emulatorr", "Did you mean `zenml-vertex emulator`?"),
        ("job", "Did you mean `zenml-vertex jobs`?"),
        ("Local_Stack", "Did you mean `zenml-vertex local-stack`?"),
        ("jobs lst", "Did you mean `zenml-vertex jobs list`?"),
        ("flavor instal", "Did you mean `zenml-vertex flavor install`?"),
        # The right word at the wrong level.
        ("cancel", "Did you mean `zenml-vertex jobs cancel`?"),
        ("jobs list --orphan", "--orphans"),
        ("emulator --prot=1", "--port"),
        ("xyzzy", "There is no command `xyzzy`.\n"),
        ("jöbs", "`zenml-vertex jobs`"),
    ],
)
def test_a_misspelt_command_or_option_is_answered_with_the_right_one(
    arguments: str, meant: str
) -> None:
    """What is mistyped is a usage error that names what was meant, where anything is similar."""
    result = _run(*arguments.split())
    assert result.exit_code == 2
    assert meant in result.stderr
    assert "zenml-vertex" in result.stderr
    assert result.stdout == ""


@pytest.fixture
def fail_with(tmp_path: Path) -> Callable[..., Result]:
    """Run a command that raises an exception."""

    def fail_with(error: BaseException, *options: str, words: Sequence[str] = ()) -> Result:
        @click.group(cls=Group)
        @click.option("--traceback", is_flag=True)
        def program(*, traceback: bool) -> None:
            """A program."""

        @program.group(cls=Group)
        def inner() -> None:
            """Its group."""

        @inner.command()
        @click.argument("words", nargs=-1)
        def fail(words: Sequence[str]) -> None:
            """Fail."""
            del words
            raise error

        environment = {"ZENML_CONFIG_PATH": str(tmp_path)}
        arguments = [*options, "inner", "fail", *words]
        return CliRunner().invoke(program, arguments, prog_name="program", env=environment)

    return fail_with


def test_other_packages_warn_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """What other packages warn of is not among what a command prints, unless one asks for it."""

    @click.group(cls=Group)
    def program() -> None:
        """Do."""

    @program.command()
    def warn() -> None:
        """Warn, as ZenML prints it."""
        warnings.showwarning = lambda message, *_: click.echo(str(message))
        warnings.warn("Setuptools is replacing distutils.", UserWarning, stacklevel=1)

    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    monkeypatch.setattr("sys.warnoptions", [])
    assert CliRunner().invoke(program, ["warn"]).output == ""
    monkeypatch.setattr("sys.warnoptions", ["default"])
    warnings.simplefilter("default")
    assert "Setuptools" in CliRunner().invoke(program, ["warn"]).output


def test_an_unexpected_error_is_one_line(fail_with: Callable[..., Result]) -> None:
    """No exception is shown as a traceback, but by the option that the line names."""
    error = ZeroDivisionError("a number by zero\nya29.t0ken")
    result = fail_with(error)
    assert result.exit_code == 1
    assert result.stderr == (
        "Error: `program inner fail` failed unexpectedly: ZeroDivisionError: a number by zero "
        "***. To see where, run: program --traceback inner fail\n"
    )
    shown = fail_with(error, "--traceback")
    assert shown.exit_code == 1
    assert shown.stderr.startswith("Traceback (most recent call last):\n")
    assert "ZeroDivisionError" in shown.stderr


def test_the_advice_repeats_the_whole_command(fail_with: Callable[..., Result]) -> None:
    """What is to be run to see where a command failed was another command, without arguments.

    A secret among the arguments is not repeated.
    """
    error = ZeroDivisionError("by zero")
    result = fail_with(error, words=("--", "two words", "it's", "--orphans"))
    shown = "To see where, run: program --traceback inner fail -- 'two words' "
    assert result.stderr.endswith(f"""{shown}'it'"'"'s' --orphans\n""")
    again = shlex.split(result.stderr.partition("run: ")[2])
    assert fail_with(error, again[1], words=again[4:]).stderr.startswith("Traceback")
    for word in ("TOKEN=ya29.t0ken", "two\nlines", "x" * 5000):
        line = fail_with(error, words=(word,)).stderr
        assert line.endswith("the same command with --traceback directly after `program`\n")
        assert "t0ken" not in line


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/root/x"), "Permission denied: /root"),
        (RuntimeError(), "RuntimeError. To see"),
        (RuntimeError("Bearer t0ken"), "Bearer ***"),
        (RuntimeError("x" * 100_000), "(100014 characters). To see"),
        (OSError(errno.ENOSPC, "No space left on device", "/dev/x"), "The disk is full"),
        (ImportError("... without the `local` extra, but\n..."), " install 'zenml[local]'"),
        (ModuleNotFoundError("No module named 'pymysql'"), " install 'zenml[local]'"),
        (ModuleNotFoundError("No", name=FORMER_HOOK), " install --force-reinstall --no-deps -e "),
        (ImportError("No module named 'gcsfs'\n\nThe `gcp` integration"), " install gcsfs"),
        (RuntimeError("(sqlite3.OperationalError) database or disk is full"), "The disk is full"),
    ],
)
def test_an_unexpected_error_is_short_and_without_secrets(
    fail_with: Callable[..., Result], error: Exception, shown: str
) -> None:
    """The line says what failed; it is short, and tokens in it are masked."""
    result = fail_with(error)
    assert result.exit_code == 1
    assert shown in result.stderr
    assert result.stderr.count("\n") == 1
    assert len(result.stderr) < 600
    assert "t0ken" not in result.stderr


def test_an_interrupt_is_no_error(fail_with: Callable[..., Result]) -> None:
    """Ctrl-C ends a command with the status that shells expect."""
    result = fail_with(KeyboardInterrupt())
    assert (result.exit_code, result.stderr) == (130, "\nInterrupted.\n")


def test_a_configuration_that_cannot_be_written_is_told_with_its_cure(
    fail_with: Callable[..., Result], tmp_path: Path
) -> None:
    """With a HOME that is read-only or not there, the line says which variables lead elsewhere."""
    for place in (tmp_path.parent, tmp_path, tmp_path / "config.yaml"):
        shown = fail_with(OSError(errno.EROFS, "Read-only file system", str(place))).stderr
        assert shown == (
            f"Error: ZenML cannot write its configuration to {tmp_path} (Read-only file system). "
            "Set HOME or ZENML_CONFIG_PATH to a folder that you may write to.\n"
        )
    other = PermissionError(errno.EACCES, "Permission denied", str(tmp_path.with_name("key.json")))
    assert "ZENML_CONFIG_PATH" not in fail_with(other).stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_output_that_cannot_be_written_is_one_sentence(
    path: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At every level, a full disk behind stdout is told as that, and by no traceback of a log."""
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        monkeypatch.setattr("sys.stdout", full)
        with pytest.raises(SystemExit) as ended:
            main([*path, "-h"], prog_name="zenml-vertex")
        log = logging.StreamHandler(full)
        log.handle(logging.makeLogRecord({"msg": "ZenML's own words"}))
    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        "Error: The output cannot be written: No space left on device.\n"
    )
