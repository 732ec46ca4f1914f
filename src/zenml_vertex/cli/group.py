"""Groups of commands: imported when called, helpful when mistyped, without tracebacks."""

import errno
import logging
import os
import shlex
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any, NoReturn

import click
from click.core import ParameterSource

from zenml_vertex.cli.failures import describe_failure, is_of_output
from zenml_vertex.cli.signals import INTERRUPTED

_ARGUMENTS = f"{__name__}.arguments"


class Group(click.Group):
    """A group that, called alone, says what it has; its commands end in a sentence, or well.

    Args:
        lazy: Name of a command -> `module:attribute` that it is imported from when it is
            called.
        welcome: What the group prints when it is called alone, instead of its help.
        **options: Those of `click.Group`.
    """

    def __init__(
        self, *, lazy: Mapping[str, str] | None = None, welcome: str = "", **options: Any
    ) -> None:
        super().__init__(**options)
        self._lazy = dict(lazy or {})
        self._welcome = welcome

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._lazy})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if target := self._lazy.get(cmd_name):
            module, _, attribute = target.partition(":")
            command: click.Command = getattr(import_module(module), attribute)
            return command
        return super().get_command(ctx, cmd_name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # All groups share it: the first one gets all arguments.
        ctx.meta.setdefault(_ARGUMENTS, [*args])
        if not args and not ctx.resilient_parsing:
            click.echo(self._welcome or ctx.get_help(), color=ctx.color)
            ctx.exit()
        if args[:1] == ["help"] and "help" not in self.list_commands(ctx):
            args = [*args[1:], "--help"]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        is_option = name.startswith("-")
        if not is_option and not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            meant = [f"`{ctx.command_path} {path}`" for path in self._find_similar(ctx, name)]
            question = f" Did you mean {' or '.join(meant)}?" if meant else ""
            raise click.UsageError(f"There is no command `{name}`.{question}", ctx)
        return super().resolve_command(ctx, args)

    def _find_similar(self, ctx: click.Context, name: str) -> list[str]:
        """Commands here and one level below, spelt like a name; those here come first."""
        here = self.list_commands(ctx)
        below = {path.split()[-1]: path for path in self._iter_below(ctx)}
        for known in ({command: command for command in here}, below):
            if similar := get_close_matches(name.lower().replace("_", "-"), known):
                return [known[word] for word in similar]
        return []

    def _iter_below(self, ctx: click.Context) -> Iterator[str]:
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if isinstance(command, click.Group):
                yield from (f"{name} {inner}" for inner in command.list_commands(ctx))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("\nInterrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            if isinstance(error, OSError) and (error.errno == errno.EPIPE or is_of_output(error)):
                # Whoever read the output has seen enough, which click knows how to end; or it
                # cannot be written, which `main` says.
                raise
            _fail(error, ctx)

    def main(self, *args: Any, **options: Any) -> Any:
        # ZenML prints what other packages warn of on stdout, among what a command says.
        if not sys.warnoptions:
            warnings.simplefilter("ignore")
        # Nor does a log line that cannot be written print a traceback.
        logging.raiseExceptions = False
        try:
            return super().main(*args, **options)
        except OSError as error:
            click.echo(f"Error: The output cannot be written: {error.strerror}.", err=True)
            raise SystemExit(1) from error
        finally:
            _give_up_broken_output()


def repeat_command(**changed: object) -> str:
    """The command that runs, as it was typed but for some options; it has options only.

    Args:
        **changed: Name of a parameter -> its value.
    """
    context = click.get_current_context()
    words = context.command_path.split()
    for option in context.command.params:
        name = option.name or ""
        is_typed = context.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if name in changed or is_typed:
            value = changed.get(name, context.params[name])
            words += [option.opts[0]] if value is True else [option.opts[0], str(value)]
    return shlex.join(words)


def _fail(error: Exception, ctx: click.Context) -> NoReturn:
    if ctx.find_root().params.get("traceback"):
        traceback.print_exception(error)
        ctx.exit(1)
    command = f"{ctx.command_path} {ctx.invoked_subcommand}"
    program, arguments = ctx.find_root().command_path, ctx.meta[_ARGUMENTS]
    raise click.ClickException(describe_failure(error, command, program, arguments)) from error


def _give_up_broken_output() -> None:
    """Let Python end in peace, which would complain of the output once more."""
    try:
        # It is None where the shell has closed it.
        if sys.stdout:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
