"""The user's own shell on a local stack, with a prompt that says so. Pure.

The user's start files are read and stay as they are. They may export a project, a
key or a search path, so what the stack needs is exported again after them.
"""

import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zenml_vertex.local_stack.environment import DROPPED_PREFIXES

PROMPT = "(local-stack) "
_POSIX = ("sh", "ash", "dash", "ksh", "mksh")
# What the stack sets besides, and start files may export as well.
_ITS_OWN = ("DISABLE_CREDENTIALS_DISK_CACHING", "DOCKER_CONFIG", "NO_PROXY", "no_proxy")


@dataclass(frozen=True, slots=True)
class ShellPlan:
    """How a shell is started."""

    command: tuple[str, ...]
    # Its whole environment.
    environment: Mapping[str, str] = field(repr=False)
    # To be written first, for their owner only: they hold the stack's password.
    files: Mapping[Path, str] = field(default_factory=dict, repr=False)
    # Whether the prompt says where it is, and the stack's variables win over start files.
    is_known: bool = True


def plan_shell(
    shell: str, environment: Mapping[str, str], given: Mapping[str, str], folder: Path
) -> ShellPlan:
    """Plan a shell.

    A shell that is not known is started as it is, with its own prompt.

    Args:
        shell: Name or path of the program.
        environment: What it gets.
        given: What the user has, outside.
        folder: Folder for its start files.
    """
    kind = Path(shell).name
    if kind == "bash":
        variables, start = folder / "variables.sh", folder / "bashrc"
        files = {variables: _export(environment, given), start: _BASH % _quote(variables)}
        return ShellPlan((shell, "--rcfile", str(start)), environment, files)
    if kind == "zsh":
        variables, start = folder / "variables.sh", folder / ".zshenv"
        ours = {"ZDOTDIR": str(folder)}
        lines = _ZSH % (_assign("ZDOTDIR", given), _quote(variables))
        files = {variables: _export(environment, given), start: lines}
        return ShellPlan((shell,), {**environment, **ours}, files)
    if kind == "fish":
        start = folder / "start.fish"
        files = {start: _export_in_fish(environment, given) + _FISH}
        return ShellPlan((shell, "--init-command", f"source {_quote(start)}"), environment, files)
    if kind in _POSIX:
        variables, start = folder / "variables.sh", folder / "shrc"
        ours = {"ENV": str(start)}
        lines = _SH % (_assign("ENV", given), _quote(variables))
        files = {variables: _export(environment, given), start: lines}
        return ShellPlan((shell,), {**environment, **ours}, files)
    return ShellPlan((shell,), environment, is_known=False)


# Bash reads this in place of ~/.bashrc. Many prompts are built anew each time, by
# PROMPT_COMMAND.
_BASH = f"""\
if [ -f ~/.bashrc ]; then . ~/.bashrc; fi
. %s
__local_stack_prompt() {{
    case $PS1 in *"{PROMPT}"*) ;; *) PS1="{PROMPT}$PS1" ;; esac
}}
case $(declare -p PROMPT_COMMAND 2>/dev/null) in
    'declare -a'*) PROMPT_COMMAND+=(__local_stack_prompt) ;;
    *) PROMPT_COMMAND="${{PROMPT_COMMAND:+$PROMPT_COMMAND
}}__local_stack_prompt" ;;
esac
"""

# Zsh reads this in place of the user's .zshenv, and with ZDOTDIR as it was, all other
# files from their own place, history included. The first prompt comes after them.
_ZSH = f"""\
%s
if [[ -f ${{ZDOTDIR:-$HOME}}/.zshenv ]]; then source ${{ZDOTDIR:-$HOME}}/.zshenv; fi
__local_stack_prompt() {{
    [[ $PROMPT == *"{PROMPT}"* ]] || PROMPT="{PROMPT}$PROMPT"
}}
__local_stack_enter() {{
    source %s
    precmd_functions=(${{precmd_functions:#__local_stack_enter}} __local_stack_prompt)
    __local_stack_prompt
}}
typeset -ga precmd_functions
precmd_functions+=(__local_stack_enter)
"""

# The file that ENV names, which may begin with a variable.
_SH = f"""\
%s
if [ -n "${{ENV:-}}" ]; then
    eval "__local_stack_start=\\"$ENV\\""
    if [ -f "$__local_stack_start" ]; then . "$__local_stack_start"; fi
    unset __local_stack_start
fi
. %s
PS1="{PROMPT}${{PS1:-\\$ }}"
"""

_FISH = f"""\
functions -q fish_prompt; and functions -c fish_prompt __local_stack_prompt
function __local_stack_status
    return $argv[1]
end
function fish_prompt
    set -l before $status
    printf '%s' '{PROMPT}'
    __local_stack_status $before
    functions -q __local_stack_prompt; and begin
        __local_stack_status $before
        __local_stack_prompt
    end
end
"""


def _changes(environment: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """What the stack's shell must have, whatever start files say."""
    return {
        name: value
        for name, value in sorted(environment.items())
        if name != "PATH"
        # Start files may change even what is the same outside.
        and (given.get(name) != value or name.startswith(DROPPED_PREFIXES) or name in _ITS_OWN)
    }


def _first_folder(environment: Mapping[str, str]) -> str:
    """The folder of `python` and `zenml`, which goes first."""
    return environment["PATH"].partition(os.pathsep)[0]


def _export(environment: Mapping[str, str], given: Mapping[str, str]) -> str:
    pattern = f"^(({'|'.join(DROPPED_PREFIXES)})[A-Za-z0-9_]*)=.*"
    return "\n".join(
        [
            f"for __local_stack_name in $(command env | command sed -nE 's/{pattern}/\\1/p')",
            'do unset "$__local_stack_name"; done; unset __local_stack_name',
            *(
                f"export {name}={shlex.quote(value)}"
                for name, value in _changes(environment, given).items()
            ),
            f'export PATH={shlex.quote(_first_folder(environment))}:"$PATH"',
            "",
        ]
    )


def _export_in_fish(environment: Mapping[str, str], given: Mapping[str, str]) -> str:
    prefixes = "|".join(DROPPED_PREFIXES)
    return "\n".join(
        [
            f"for name in (set -nx | string match -r '^(?:{prefixes}).*')",
            "    set -eg $name",
            # One that the user has stored for all sessions stays so; here it is empty.
            "    set -qU $name; and set -gx $name ''",
            "end",
            *(
                f"set -gx {name} {_quote_in_fish(value)}"
                for name, value in _changes(environment, given).items()
            ),
            f"set -gx PATH {_quote_in_fish(_first_folder(environment))} $PATH",
            "",
        ]
    )


def _assign(name: str, given: Mapping[str, str]) -> str:
    """A line that gives a variable its value outside back."""
    if name in given:
        return f"export {name}={shlex.quote(given[name])}"
    return f"unset {name}"


def _quote(path: Path) -> str:
    return shlex.quote(str(path))


def _quote_in_fish(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
