"""Prints docs/reference/settings.md from the settings class and the table of fields.

Run it as `python docs/reference/generate_settings.py > docs/reference/settings.md`.
"""

import sys
from typing import Union, get_args, get_origin

from zenml_vertex import VertexStepOperatorSettings
from zenml_vertex.job.fields import ARGUMENTS, ROWS, SPELLINGS

HEAD = """# Settings

Everything that a step and its component can set: each of these is a field of
`VertexStepOperatorSettings` (in code: `settings={"step_operator":
VertexStepOperatorSettings(...)}`; in YAML: under `settings: step_operator:`) and an
option of `zenml step-operator register NAME --flavor=vertex --FIELD=VALUE`. What a
step sets overrides what the component sets, field by field. A component needs `region`.

On the command line, and also in YAML, a list or an object can be JSON:
`--reserved_ip_ranges='["a", "b"]'` (a comma-separated list works too),
`--additional_training_job_args='{"timeout": "3600s"}'`.

The last column says which field of the
[CustomJob](https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs)
a setting becomes; `POOL` is `jobSpec.workerPoolSpecs[0]`. A field that is unset is left out of the
request, so that Vertex AI's own default holds: a string is unset if it is empty, a list or an
object likewise, and `accelerator_count` if it is 0. Any other 0, and `False`, is a value.

| setting | type | default | what it is | in the CustomJob |
|---|---|---|---|---|
"""

TAIL = """
## What is checked, and when

- In code and at registration, as soon as they are written: unknown names, values of the wrong
  type, and values that cannot work whatever else is set, such as a zone for `region`.
- Of a step, before an image is built, all in one error that names the step: the same for what is
  written in YAML or as a dict; values that cannot go together, such as an accelerator without a
  count; `additional_training_job_args`; labels and names of environment variables; values of enums
  that the installed client cannot send; a missing key file. Then a project that is not the
  connector's.
- Unknown machine types and disks, new regions, and accelerators that only the installed client
  knows are *warnings* with the nearest known name: Google adds some every month, and Vertex AI
  decides.

An error shows the value that was written, but none of `env` and none that comes from a secret.

`gpu_count` of the step's `ResourceSettings` overrides `accelerator_count`; 0 turns
the accelerator off for one step, whatever names its type. `cpu_count` and `memory` are ignored:
set `machine_type`.

## additional_training_job_args

Named as the arguments of Google Cloud Pipeline Components'
[`create_custom_training_job_from_component`](https://google-cloud-pipeline-components.readthedocs.io/en/google-cloud-pipeline-components-2.22.0/api/v1/custom_job.html),
whose types and shapes are checked before an image is built. They override the settings of the
same meaning and `gpu_count`, also with an empty value: `{"service_account": ""}` runs a job
without the component's service account. Only `machine_type` cannot be empty. Each of the settings
above that has a field of the CustomJob is an argument too, by the same name. Those without a
setting of their own:

| argument | in the CustomJob |
|---|---|
"""

NOTES = {
    "env": 'a list of `{"name": ..., "value": ...}`, added to the container\'s environment '
    "variables; those that begin with `ZENML_VERTEX_` cannot be replaced",
    "labels": "added to the job's own labels, which cannot be replaced",
    "replica_count": "must be 1",
}


def _type_name(annotation: object) -> str:
    parts = get_args(annotation) if _is_union(annotation) else (annotation,)
    names = [str(getattr(p, "__name__", p)) if not get_args(p) else str(p) for p in parts]
    return " or ".join(name.replace("typing.", "") for name in names if name != "NoneType")


def _is_union(annotation: object) -> bool:
    return get_origin(annotation) is Union or type(annotation).__name__ == "UnionType"


def _describe_path(name: str) -> str:
    path = ROWS[name].path if name in ROWS else ""
    return f"`{path.replace('jobSpec.workerPoolSpecs[0]', 'POOL')}`" if path else ""


def render() -> str:
    """The page as Markdown."""
    settings = VertexStepOperatorSettings.model_fields
    rows = []
    for name, field in settings.items():
        default = field.get_default(call_default_factory=True)
        shown = "" if default is None else f"`{default}`"
        description = (field.description or "").replace("|", "\\|")
        rows.append(
            f"| `{name}` | {_type_name(field.annotation)} | {shown} | {description} "
            f"| {_describe_path(SPELLINGS.get(name, name))} |\n"
        )
    arguments = [
        f"| `{argument}` | {NOTES.get(argument) or _describe_path(name)} |\n"
        for argument, name in ARGUMENTS.items()
        if name not in settings
    ]
    return HEAD + "".join(rows) + TAIL + "".join(arguments)


if __name__ == "__main__":
    sys.stdout.write(render())
