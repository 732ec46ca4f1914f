"""Prints docs/reference/emulator-coverage.md: the template beside it, with what is declared.

Run it as `python docs/reference/generate_emulator_coverage.py > FILE`, with the page as FILE.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from textwrap import fill

from vertex_emulator import VertexEmulator
from vertex_emulator.faults.call_faults import EVERY_METHOD, RequestFault
from vertex_emulator.faults.job_faults import JobFault
from vertex_emulator.faults.kinds import find_kinds
from vertex_emulator.faults.resource_faults import ResourceFault
from vertex_emulator.http.routes import VERSIONS, Route

TEMPLATE = Path(__file__).with_name("emulator-coverage.md.template")
_WIDTH = 100


def render() -> str:
    """The page as Markdown."""
    page = TEMPLATE.read_text("utf-8")
    routes = declared_routes()
    methods = dict.fromkeys(route.fault_method for route in routes if route.fault_method)
    of_requests, of_jobs = _names(RequestFault), _names(JobFault)
    of_resources = _names(ResourceFault)
    parts = {
        "versions": _wrap(
            f"Every version of a path is served: {' and '.join(f'`{one}`' for one in VERSIONS)}. "
            "A route that is not in this table is answered with 404 and the status UNIMPLEMENTED, "
            "and the message names it."
        ),
        "routes": "\n".join(
            f"| `{route.method} {route.path}` | {route.service.name} | {route.support} | "
            f"{route.note} |"
            for route in routes
        ),
        "request_fields": _wrap(f"Every one has {_list(of_requests)}."),
        "methods": _wrap(
            f"`method` is one of {_list([*methods, EVERY_METHOD])}. `{EVERY_METHOD}` is each one "
            "of Google's APIs. With `count` 0, calls are hit until the fault is "
            "withdrawn; with `lasts`, for so many seconds from the first."
        ),
        "request_faults": "\n".join(
            f"| `{kind.__name__}` | {_list(_names(kind), of_requests)} | {_summary(kind)} |"
            for kind in find_kinds(RequestFault)
            if kind.has_json
        ),
        "job_fields": _wrap(f"Every one has {_list(of_jobs)}."),
        "job_faults": "\n".join(
            f"| `{kind.__name__}` | {_list(_names(kind), of_jobs)} | {_list(kind.stages)} | "
            f"{_summary(kind)} |"
            for kind in find_kinds(JobFault)
        ),
        "resource_fields": _wrap(f"Every one has {_list(of_resources)}."),
        "resource_faults": "\n".join(
            f"| `{kind.__name__}` | `{kind.stage}` | {_summary(kind)} |"
            for kind in find_kinds(ResourceFault)
        ),
    }
    for name, text in parts.items():
        page = page.replace(f"{{{{{name}}}}}", text)
    return page


def declared_routes() -> tuple[Route, ...]:
    """The routes that an emulator serves."""
    emulator = VertexEmulator()
    try:
        return emulator.routes
    finally:
        emulator.stop()


def _names(kind: type[RequestFault] | type[JobFault] | type[ResourceFault]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _list(names: Iterable[str], but: Sequence[str] = ()) -> str:
    return ", ".join(f"`{name}`" for name in names if name not in but)


def _summary(kind: type) -> str:
    return (kind.__doc__ or "").partition("\n")[0]


def _wrap(text: str) -> str:
    return fill(text, _WIDTH, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    sys.stdout.write(render())
