"""Runs a Python program for which another folder takes the place of `/app`.

ZenML's step entrypoint creates `/app` and changes into it: right in a container, but
on a plain machine all steps would share the folder. Used as `python shim.py FOLDER -m
MODULE`, `-c CODE` or `SCRIPT`, with arguments.

Only calls of Python's own functions in this process are mapped to FOLDER: a program
that the step starts, and a C library that opens files, see the real `/app`. Paths that
are returned (`os.getcwd()`) are in FOLDER.
"""

# The program itself imports pathlib, after the functions of `os` have been replaced.
# ruff: noqa: PTH100, PTH109, PTH120

import builtins
import io
import os
import runpy
import sys
import types
from collections.abc import Callable
from typing import Any

_APP = "/app"
# Functions of `os` whose leading arguments are paths, with their number. Not every
# system has them all.
_PATH_ARGUMENTS = {
    "access": 1,
    "chdir": 1,
    "chmod": 1,
    "chown": 1,
    "getxattr": 1,
    "link": 2,
    "listdir": 1,
    "listxattr": 1,
    "lstat": 1,
    "mkdir": 1,
    "open": 1,
    "readlink": 1,
    "remove": 1,
    "rename": 2,
    "replace": 2,
    "rmdir": 1,
    "scandir": 1,
    "setxattr": 1,
    "stat": 1,
    "symlink": 2,
    "unlink": 1,
    "utime": 1,
}
_CAPABILITIES = (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks)


class _Mapped:
    """A function whose paths are mapped to a folder.

    An object, not a function: pathlib of Python 3.10 keeps the functions of `os` as
    attributes of a class, where a function would become a method.
    """

    def __init__(self, function: Callable[..., Any], count: int, folder: str) -> None:
        self.__wrapped__ = function
        self.__name__ = function.__name__
        self.__doc__ = function.__doc__
        self._count = count
        self._folder = folder

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        mapped = [map_path(path, self._folder) for path in args[: self._count]]
        if "path" in kwargs:
            kwargs["path"] = map_path(kwargs["path"], self._folder)
        return self.__wrapped__(*mapped, *args[self._count :], **kwargs)


def map_path(path: Any, folder: str) -> Any:
    """The path in the folder for `/app` and what is below it; any other path itself."""
    text = os.fspath(path) if isinstance(path, os.PathLike) else path
    if isinstance(text, str) and text.startswith(_APP):
        plain = os.path.normpath(text)
        if plain == _APP or plain.startswith(f"{_APP}/"):
            return folder + plain[len(_APP) :]
    return path


def install(folder: str) -> None:
    """Map `/app` to a folder, in this process, from now on."""
    for name, count in _PATH_ARGUMENTS.items():
        function = getattr(os, name, None)
        if function is None:
            continue
        mapped = _Mapped(function, count, folder)
        setattr(os, name, mapped)
        for able in _CAPABILITIES:
            if function in able:
                able.add(mapped)
    builtins.open = io.open = _Mapped(open, 1, folder)


def run(arguments: list[str]) -> None:
    """Run a program as Python runs its command line.

    Args:
        arguments: What follows `python` and its options on the command line.
    """
    first = arguments[0]
    kind = first[:2] if first[:2] in {"-m", "-c"} else ""
    # Python has put the folder of this file there.
    if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
        script_folder = os.path.dirname(os.path.realpath(first))
        sys.path[0] = {"-m": os.getcwd(), "-c": "", "": script_folder}[kind]
    # A `__main__` for the program; the functions of this file keep theirs.
    main = types.ModuleType("__main__")
    sys.modules["__main__"] = main
    if not kind:
        sys.argv = arguments
        main.__file__ = first
        with io.open_code(os.path.abspath(first)) as stream:
            code = compile(stream.read(), first, "exec")
        exec(code, main.__dict__)  # noqa: S102 - it is the job's own code
        return
    # `-mMODULE` is the same as `-m MODULE`.
    text, *rest = [first[2:], *arguments[1:]] if first != kind else arguments[1:]
    sys.argv = [kind, *rest]
    if kind == "-c":
        exec(compile(text, "<string>", "exec"), main.__dict__)  # noqa: S102 - as above
    else:
        # What `python -m` itself calls. The public functions run the module beside
        # `__main__` and not as it, which breaks pickling.
        runpy._run_module_as_main(text)  # type: ignore[attr-defined]  # noqa: SLF001


if __name__ == "__main__":
    _folder, *_arguments = sys.argv[1:]
    install(_folder)
    run(_arguments)
