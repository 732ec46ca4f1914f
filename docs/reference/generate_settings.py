"""Prints docs/reference/settings.md from the settings class itself.

Run it as `python docs/reference/generate_settings.py > docs/reference/settings.md`.
"""

import sys
from typing import Union, get_args, get_origin

from zenml_vertex import VertexStepOperatorSettings

HEAD = """# Settings

Everything a step can say, and everything its component can: each of these is a
field of `VertexStepOperatorSettings` (in code: `settings={"step_operator":
VertexStepOperatorSettings(...)}`; in YAML: under `settings: step_operator:`) and an
option of `zenml step-operator register NAME --flavor=vertex --FIELD=VALUE`. What a
step sets goes over what the component sets, field by field. A component needs `region`.

On the command line a list or an object is JSON: `--reserved_ip_ranges='["a", "b"]'`
(a comma list works too), `--additional_training_job_args='{"timeout": "3600s"}'`.

| setting | type | default | what it is |
|---|---|---|---|
"""

TAIL = """
## What is checked, and when

- When settings are written down (in code, in YAML or at registration): unknown names,
  and values that cannot work whatever else is set, such as a zone for `region`.
- Before an image is built: values that cannot go together, such as an accelerator
  without a count; a missing key file; a project that is not the connector's.
- Unknown machine types, accelerators, disks and new regions are *warnings* with the
  nearest known name: Google adds some every month, and Vertex AI decides.

`gpu_count` of the step's `ResourceSettings` goes before `accelerator_count`; 0 turns the
component's accelerator off for one step. `cpu_count` and `memory` choose no machine: write
`machine_type`.

## additional_training_job_args

Named as the arguments of Google Cloud Pipeline Components'
`create_custom_training_job_from_component`. Among them are fields that have no setting of
their own yet: `timeout`, `strategy` (`SPOT`, `FLEX_START`), `max_wait_duration`,
`nfs_mounts`, `tensorboard`, `enable_web_access`, `base_output_directory`, `labels`, `env`,
`psc_interface_config` and `reservation_affinity_*`. They win over the settings of the same meaning.
"""


def _type_name(annotation: object) -> str:
    parts = get_args(annotation) if _is_union(annotation) else (annotation,)
    names = [str(getattr(p, "__name__", p)) if not get_args(p) else str(p) for p in parts]
    return " or ".join(name.replace("typing.", "") for name in names if name != "NoneType")


def _is_union(annotation: object) -> bool:
    return get_origin(annotation) is Union or type(annotation).__name__ == "UnionType"


def render() -> str:
    """The page as Markdown."""
    rows = []
    for name, field in VertexStepOperatorSettings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "" if default is None else f"`{default}`"
        description = (field.description or "").replace("|", "\\|")
        rows.append(f"| `{name}` | {_type_name(field.annotation)} | {shown} | {description} |")
    return HEAD + "\n".join(rows) + "\n" + TAIL


if __name__ == "__main__":
    sys.stdout.write(render())
