"""Prints docs/reference/cli.md from the command `zenml-vertex` itself.

Run it as `python docs/reference/generate_cli.py > docs/reference/cli.md`.
"""

import sys
from collections.abc import Iterator

import click

from zenml_vertex.cli import main

HEAD = """# The command `zenml-vertex`

<!-- Printed by `python docs/reference/generate_cli.py`; change the commands themselves. -->

What `--help` says of each command, and how to have a shell complete them.
"""
TAIL = """## Shell completion

Add a line to the start-up file of your shell, and open a new one. For bash 4.4 or newer, to
`~/.bashrc`:

```
eval "$(_ZENML_VERTEX_COMPLETE=bash_source zenml-vertex)"
```

For zsh, to `~/.zshrc`, below `autoload -Uz compinit && compinit`:

```
eval "$(_ZENML_VERTEX_COMPLETE=zsh_source zenml-vertex)"
```

For fish, to `~/.config/fish/config.fish`:

```
_ZENML_VERTEX_COMPLETE=fish_source zenml-vertex | source
```

Commands, options and their values, files and folders are completed. Names of step operators
and IDs of jobs are not, because reading them takes seconds.
"""
_WIDTH = 88


def iter_commands(
    command: click.Command, context: click.Context
) -> Iterator[tuple[click.Command, click.Context]]:
    """A command and everything below it, each with the context it is called in."""
    yield command, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            if below is not None:
                yield from iter_commands(below, _make_context(below, name, context))


def render() -> str:
    """The page as Markdown."""
    sections = [HEAD]
    for command, context in iter_commands(main, _make_context(main, "zenml-vertex", None)):
        lines = (line.rstrip() for line in command.get_help(context).splitlines())
        text = "\n".join(lines)
        sections.append(f"## {context.command_path}\n\n```\n{text}\n```\n")
    return "\n".join([*sections, TAIL])


def _make_context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    return click.Context(
        command,
        info_name=name,
        parent=parent,
        terminal_width=_WIDTH,
        **command.context_settings,
    )


if __name__ == "__main__":
    sys.stdout.write(render())
