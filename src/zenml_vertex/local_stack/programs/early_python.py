"""Imports modules at once, and runs a script when it is told its environment.

`processes.launcher` runs it with the names of the modules, and with a JSON object on standard
input once everything is known; see `processes.early_python`.
"""

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType


def main() -> None:
    """Run what standard input says; nothing if that ends without a word."""
    for name in sys.argv[1:]:
        import_module(name)
    text = sys.stdin.buffer.read()
    if not text:
        return
    # As for a script that Python starts itself.
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), sys.stdin.fileno())
    plan = json.loads(text)
    os.environ.clear()
    os.environ.update(plan["environment"])
    os.chdir(plan["folder"])
    script, *_ = sys.argv = plan["arguments"]
    sys.path.insert(0, plan["folder"])
    path = Path(script).absolute()
    # `runpy.run_path` would change `sys.argv`.
    sys.modules["__main__"] = module = ModuleType("__main__")
    module.__file__ = str(path)
    exec(compile(path.read_bytes(), path, "exec"), module.__dict__)  # noqa: S102 - asked for
