"""How this copy of the package was installed, and the commands that add to it.

An installer writes down where a package came from, if that was not an index:
https://packaging.python.org/en/latest/specifications/direct-url/. A copy in a step's
image has no such record, and neither has one whose folder was moved away: what they
lack is named by itself, which works everywhere.
"""

import json
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from collections.abc import Set as AbstractSet
from functools import cache
from importlib.machinery import PathFinder
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

if TYPE_CHECKING:
    from packaging.requirements import Requirement

NAME = "zenml-vertex"
_HOOK = "zenml_vertex_init_hook"
FORMER_HOOK = "zenml_vertex.ownership.hook"
"""The module of the init hook in the entry point of a clone that was installed long ago."""
# Whether PyPI has this project. Until its first release, the name there is free for
# anybody's code, and no command of this package asks for it.
RELEASED = False
_ANY_UPGRADE = "install a newer version of zenml-vertex"
# `python -m` finds a module in the current folder first, whoever has put it there; Python 3.10
# has no `-P`, and `-I` would ignore PYTHONPATH.
_RUN = (
    "import sys; sys.path[:] = filter(None, sys.path); import runpy; "
    "runpy.run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)


def module_command(module: str) -> list[str]:
    """The command that runs a module with this Python, as `-m` does from a folder of its own.

    Args:
        module: Its name; arguments may follow.
    """
    return [sys.executable, "-c", _RUN, module]


@cache
def install_command(extra: str) -> str:
    """The command that adds an extra of this package to this environment.

    Args:
        extra: Its name in pyproject.toml, such as `client`.

    Returns:
        A line for a POSIX shell. It works from any folder, and with the environment activated
        or not.
    """
    try:
        target = choose_target(distribution(NAME), extra)
    except PackageNotFoundError:
        # Code without metadata, as in an archive, does not say what its extras are.
        target = f"'/path/to/{NAME}[{extra}]'"
    return f"{choose_program('install')} {target}"


def find_missing(extra: str) -> list[str]:
    """The packages of an extra that this environment lacks, in the order of their names.

    Args:
        extra: Its name in pyproject.toml, such as `client`.
    """
    try:
        return sorted(set(_find_missing(distribution(NAME), {extra})))
    except PackageNotFoundError:
        return []


def reinstall_command() -> str:
    """The command that installs this package again, and nothing else; empty if there is none."""
    try:
        target = choose_target(distribution(NAME), "")
    except PackageNotFoundError:
        target = ""
    return target and f"{choose_program('install')} --force-reinstall --no-deps {target}"


def has_init_hook() -> bool:
    """Whether `import zenml` here calls this package's hook, which makes it the flavor `vertex`.

    An environment that got the package before it had the hook, or when the hook was another
    module, has it only after `reinstall_command`.
    """
    try:
        return is_hooked(distribution(NAME))
    except PackageNotFoundError:
        return False


def is_hooked(installed: Distribution) -> bool:
    """The same for any copy of this package.

    Args:
        installed: Its metadata.
    """
    return any(
        entry.group == "zenml.init_hooks" and entry.module == _HOOK
        for entry in installed.entry_points
    )


def upgrade_advice() -> str:
    """What brings a newer version of this package: the predicate of a sentence."""
    try:
        return choose_upgrade(distribution(NAME), choose_program("install"))
    except PackageNotFoundError:
        return _ANY_UPGRADE


@cache
def uninstall_command() -> str:
    """The command that removes this package from this environment, as pip, uv or pipx has it.

    Returns:
        A line for a POSIX shell; it works from any folder.
    """
    return choose_tool_uninstall(sys.executable) or f"{choose_program('uninstall')} {NAME}"


def choose_tool_uninstall(python: str) -> str:
    """The command that removes this package from an environment of `uv tool` or pipx.

    Args:
        python: Path of the environment's Python.

    Returns:
        The command; empty where neither has made the environment.
    """
    folder = Path(python).parent.parent
    # Both name the environment of a program after the package that brings it.
    is_alone = folder.name == NAME
    if (folder / "uv-receipt.toml").is_file() and is_alone:
        return f"uv tool uninstall {NAME}"
    if (folder / "pipx_metadata.json").is_file():
        name = shlex.quote(folder.name)
        return f"pipx uninstall {NAME}" if is_alone else f"pipx uninject {name} {NAME}"
    return ""


def choose_upgrade(installed: Distribution, installer: str, *, released: bool = RELEASED) -> str:
    """The same for any copy of this package.

    Args:
        installed: Its metadata.
        installer: The command that installs beside it.
        released: Whether an index can be asked for this package.
    """
    target = choose_target(installed, "", released=released)
    if target == NAME:
        return f"run `{installer} -U {NAME}`"
    *option, path = shlex.split(target) or [""]
    if not (path and (Path(path) / ".git").exists()):
        return _ANY_UPGRADE
    pull = f"git -C {shlex.quote(path)} pull"
    return f"run `{pull}`" if option else f"run `{pull} && {installer} {target}`"


def choose_target(installed: Distribution, extra: str, *, released: bool = RELEASED) -> str:
    """What an installer is told to install, quoted for a shell.

    Args:
        installed: The metadata of a copy of this package.
        extra: The extra that it lacks; empty for the package alone.
        released: Whether an index can be asked for this package.

    Returns:
        The package with the extra, from where it came; without such a place, what the extra
        requires.
    """
    extras = f"[{extra}]" if extra else ""
    source = _read_source(installed)
    if source is None and released and installed.read_text("INSTALLER") is not None:
        return shlex.quote(f"{NAME}{extras}")
    try:
        target = _find_target(source or {}, extras)
    except (AttributeError, KeyError, TypeError, ValueError, OSError):
        # A record that is not as the standard says.
        target = ""
    return target or " ".join(map(shlex.quote, sorted(set(_expand(installed, extra)))))


def choose_program(
    verb: str,
    python: str = sys.executable,
    *,
    has_module: Callable[[str], object] = PathFinder.find_spec,
    which: Callable[[str], str | None] = shutil.which,
) -> str:
    """The command that changes the environment of a Python: pip's, or uv's without pip.

    Args:
        verb: `install` or `uninstall`.
        python: Path of the Python.
        has_module: Whether it can import a module.
        which: Finds a program as a shell does.
    """
    quoted = shlex.quote(python)
    # By Python's own finder: setuptools has one that replaces `distutils` when it is asked.
    if has_module("pip"):
        found = which("pip")
        # Another `pip` on the search path would work elsewhere.
        activated = found is not None and Path(found).parent == Path(python).parent
        return f"pip {verb}" if activated else f"{quoted} -m pip {verb}"
    if which("uv") or _is_made_by_uv(python):
        return f"uv pip {verb} --python {quoted}"
    return f"{quoted} -m ensurepip && {quoted} -m pip {verb}"


def _is_made_by_uv(python: str) -> bool:
    """Whether uv has made the environment of a Python, and says so there."""
    try:
        written = (Path(python).parent.parent / "pyvenv.cfg").read_text("utf-8")
    except (OSError, ValueError):
        return False
    return any(line.partition("=")[0].strip() == "uv" for line in written.splitlines())


def _read_source(installed: Distribution) -> dict[str, Any] | None:
    text = installed.read_text("direct_url.json")
    if text is None:
        return None
    try:
        source = json.loads(text)
    except ValueError:
        return {}
    return source if isinstance(source, dict) else {}


def _find_target(source: dict[str, Any], extras: str) -> str:
    """The place that a copy was installed from; empty if nothing is there any more."""
    url = urlsplit(str(source.get("url", "")))
    if url.scheme == "file" and "vcs_info" not in source:
        path = Path(url2pathname(url.path))
        if path.is_file() or (path / "pyproject.toml").is_file():
            editable = "-e " if source.get("dir_info", {}).get("editable") else ""
            return f"{editable}{shlex.quote(f'{path}{extras}')}"
        return ""
    if not url.netloc:
        return ""
    where = url.geturl()
    if vcs := source.get("vcs_info"):
        where = f"{vcs['vcs']}+{where}@{vcs['commit_id']}"
    if folder := source.get("subdirectory"):
        where += f"#subdirectory={folder}"
    return shlex.quote(f"{NAME}{extras} @ {where}")


def _find_missing(installed: Distribution, extras: AbstractSet[str]) -> Iterator[str]:
    for item in _read_requirements(installed, extras):
        try:
            found = distribution(item.name)
        except PackageNotFoundError:
            yield item.name
        else:
            if item.extras:
                yield from _find_missing(found, item.extras)


def _expand(installed: Distribution, extra: str) -> Iterator[str]:
    """What an extra requires, with that of the extras which it names itself."""
    for item in _read_requirements(installed, {extra}):
        if item.name == NAME:
            for name in item.extras:
                yield from _expand(installed, name)
        else:
            item.marker = None
            yield str(item)


def _read_requirements(
    installed: Distribution, extras: AbstractSet[str]
) -> Iterator["Requirement"]:
    """What extras of a distribution require, beyond what it requires without them."""
    from packaging.requirements import Requirement

    for item in map(Requirement, installed.requires or ()):
        if item.marker is None or item.marker.evaluate({"extra": ""}):
            continue
        if any(item.marker.evaluate({"extra": extra}) for extra in extras):
            yield item
