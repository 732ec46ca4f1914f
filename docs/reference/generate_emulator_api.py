"""Prints docs/reference/emulator-api.md from the docstrings of the emulator's public names.

Run it as `python docs/reference/generate_emulator_api.py > docs/reference/emulator-api.md`.
"""

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cached_property
from importlib import import_module
from itertools import pairwise
from typing import Any, cast, get_origin

from docstring_parser import Docstring, DocstringStyle, parse

import vertex_emulator
import vertex_emulator.pytest_plugin
import vertex_emulator.testing
import zenml_vertex.local_stack.pytest_plugin

HEAD = """# The emulator's Python API

<!-- Printed by `python docs/reference/generate_emulator_api.py`; change the docstrings. -->

What users can import; everything else may change. [Test your own Vertex AI code without a
cloud](../how-to/test-without-a-cloud.md) shows it in use. It needs the extra `emulator`.
"""
FIXTURES = """## Fixtures for pytest

They are there wherever the package is installed, and load nothing before a test uses one.
"""
TESTING = """## vertex_emulator.testing
"""
EMULATOR = """## vertex_emulator
"""
FAULTS = """## vertex_emulator.faults

The faults themselves are [listed beside what the emulator
covers](emulator-coverage.md#faults); what plans them:
"""

_OF_TESTING = ("EmulatedVertex", "SimulatedVertex", "EmulatedJob", "emulated_vertex",
               "simulated_vertex")  # fmt: skip
_OF_FAULTS = ("FaultPlan", "Planned", "FaultError", "UnconsumedFaultError")
_FIRST = ("VertexEmulator", "ManualClock", "ScriptedRuntime", "Script", "Timings", "Job")
# What is left out of annotations.
_MODULES = re.compile(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])")
_WIDTH = 88


def render() -> str:
    """The page as Markdown."""
    public = vertex_emulator.__all__
    names = [*_FIRST, *(name for name in public if name not in {*_FIRST, "faults"})]
    return "\n".join(
        [
            HEAD,
            FIXTURES,
            *_show_fixtures(vertex_emulator.pytest_plugin),
            *_show_fixtures(zenml_vertex.local_stack.pytest_plugin),
            TESTING,
            *_show_all(vertex_emulator.testing, _OF_TESTING),
            EMULATOR,
            *_show_all(vertex_emulator, names),
            FAULTS,
            *_show_all(vertex_emulator.faults, _OF_FAULTS),
        ]
    )


def _show_all(module: Any, names: tuple[str, ...] | list[str]) -> Iterator[str]:
    for name in names:
        yield from _show(name, getattr(module, name))


def _show_fixtures(module: Any) -> Iterator[str]:
    """The fixtures of a plugin, in the order of their definition."""
    for name, value in vars(module).items():
        function = getattr(value, "_fixture_function", None)
        if function is None:
            continue
        scope = value._fixture_function_marker.scope  # noqa: SLF001 - pytest offers nothing else
        given = re.search(r"(\w+)['\"]?\]$", str(function.__annotations__["return"]))
        kind = f"`{given[1]}`" if given else ""
        yield f"### `{name}`\n"
        yield f"Scope: {scope}. Gives: {kind}.\n"
        yield _write(parse(function.__doc__ or "", DocstringStyle.GOOGLE))


def _show(name: str, value: Any) -> Iterator[str]:
    """A class, a function, or a name for a type."""
    if get_origin(value):
        yield f"### `{name}`\n"
        yield f"```text\n{name} = {_shorten(inspect.formatannotation(value))}\n```\n"
        yield _find_text(name) + "\n"
        return
    if not inspect.isclass(value):
        yield f"### `{name}`\n"
        yield from _show_function(name, value)
        return
    yield f"### `{name}`\n"
    is_plain = issubclass(value, BaseException | Enum) or getattr(value, "_is_protocol", False)
    if not is_plain:
        yield _fence(name, value)
    text = parse(inspect.getdoc(value) or "", DocstringStyle.GOOGLE)
    yield _write(text)
    bases = [base.__name__ for base in value.__bases__ if base.__name__ in _OF_TESTING]
    if bases:
        yield f"It has all that `{bases[0]}` has.\n"
    told = {parameter.arg_name for parameter in text.params}
    yield from _show_fields(value, told)
    if issubclass(value, Enum):
        yield ", ".join(f"`{member.name}`" for member in value) + ".\n"
        return
    for member, found in vars(value).items():
        if member.startswith("_"):
            continue
        if isinstance(found, property | cached_property):
            get = found.fget if isinstance(found, property) else found.func
            yield f"#### `{name}.{member}`\n"
            yield _write(parse(inspect.getdoc(get) or "", DocstringStyle.GOOGLE))
        elif inspect.isfunction(found) and found.__doc__:
            yield f"#### `{name}.{member}()`\n"
            yield from _show_function(member, found)


def _find_text(name: str) -> str:
    """The text below the assignment of a name."""
    home = vertex_emulator._HOME_OF[name]  # noqa: SLF001 - the package's own table
    module = import_module(f"vertex_emulator.{home}")
    statements = ast.parse(inspect.getsource(module)).body
    for statement, text in pairwise(statements):
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        if [getattr(target, "id", "") for target in targets] == [name]:
            return inspect.cleandoc(ast.literal_eval(cast("ast.Expr", text).value))
    raise LookupError(f"No text says what {name} is.")


def _show_function(name: str, function: Callable[..., Any]) -> Iterator[str]:
    yield _fence(name, function)
    yield _write(parse(inspect.getdoc(function) or "", DocstringStyle.GOOGLE))


def _show_fields(value: type, told: set[str]) -> Iterator[str]:
    """The fields of a dataclass that its docstring leaves to the comments above them."""
    if not is_dataclass(value):
        return
    source = inspect.getsource(value)
    rows = []
    for field in fields(value):
        found = re.search(rf"((?:^ +#.*\n)+) +{field.name}:", source, re.MULTILINE)
        if found and field.name not in told and not field.name.startswith("_"):
            words = [line.strip().lstrip("# ") for line in found[1].splitlines()]
            rows.append(f"- `{field.name}`: {' '.join(words)}")
    if rows:
        yield "\n".join([*rows, ""])


def _fence(name: str, value: Callable[..., Any]) -> str:
    """The signature, a line for each argument if it is long."""
    signature = inspect.signature(value)
    parts: list[str] = []
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not any(part[0] == "*" for part in parts):
            parts.append("*")
        if parameter.name != "self":
            parts.append(_spell(parameter))
    returned = signature.return_annotation
    has_end = not inspect.isclass(value) and returned not in {None, inspect.Signature.empty}
    end = f" -> {_spell_type(returned)}" if has_end else ""
    text = f"{name}({', '.join(parts)}){end}"
    if len(text) > _WIDTH:
        text = f"{name}(\n" + "".join(f"    {part},\n" for part in parts) + f"){end}"
    return f"```text\n{text}\n```\n"


def _spell(parameter: inspect.Parameter) -> str:
    kind = parameter.kind
    stars = "*" * ((kind is parameter.VAR_POSITIONAL) + 2 * (kind is parameter.VAR_KEYWORD))
    text = f"{stars}{parameter.name}: {_spell_type(parameter.annotation)}"
    if parameter.default is parameter.empty:
        return text
    # A function has no repr that is the same each time.
    default = "..." if callable(parameter.default) else repr(parameter.default)
    return f"{text} = {_shorten(default)}"


def _spell_type(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return _shorten(text).replace('"', "").replace("'", "")


def _shorten(text: str) -> str:
    return _MODULES.sub("", text)


def _write(text: Docstring) -> str:
    """A docstring as Markdown."""
    parts = [_join(text.short_description), _join(text.long_description)]
    arguments = [one for one in text.params if one.args[0] == "param"]
    attributes = [one for one in text.params if one.args[0] == "attribute"]
    for listed in (attributes, arguments):
        if listed is arguments and attributes and arguments:
            # Two lists without anything between them would be one.
            parts.append("It is made from:")
        rows = [f"- `{one.arg_name}`: {_squeeze(one.description)}" for one in listed]
        parts.append("\n".join(rows))
    if text.returns and text.returns.description:
        parts.append(f"Returns: {_squeeze(text.returns.description)}")
    raised = [f"- `{one.type_name}`: {_squeeze(one.description)}" for one in text.raises]
    if raised:
        parts.append("Raises:\n\n" + "\n".join(raised))
    return "\n\n".join(part for part in parts if part) + "\n"


def _join(text: str | None) -> str:
    return (text or "").strip()


def _squeeze(text: str | None) -> str:
    return " ".join((text or "").split())


if __name__ == "__main__":
    sys.stdout.write(render())
