"""Prints docs/reference/settings.md from the settings class and the table of fields.

Run it as `python docs/reference/generate_settings.py > docs/reference/settings.md`. Which task a
setting serves, and an example of it, stand here; a test reads each example as a step's.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

from zenml_vertex import VertexStepOperatorSettings
from zenml_vertex.job.fields import ARGUMENTS, ROWS, SPELLINGS

HEAD = """# Settings

Everything that a step and its component can set: each of these is a field of
`VertexStepOperatorSettings` (in code: `settings={"step_operator":
VertexStepOperatorSettings(...)}`; in YAML: under `settings: step_operator:`) and an
option of `zenml step-operator register NAME --flavor=vertex --FIELD=VALUE`. They are named as the
arguments of Google's Python SDK. What a step sets overrides what the component sets, field by
field; of objects, such as `labels`, key by key. A component needs `region`.

On the command line, and also in YAML, a list or an object can be JSON:
`--reserved_ip_ranges='["a", "b"]'` (a comma-separated list works too),
`--labels='{"team": "vision"}'`. Examples are written as JSON, which YAML and Python read too
(with `True` for `true` in Python).

The last column says which field of the
[CustomJob](https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs)
a setting becomes; `POOL` is `jobSpec.workerPoolSpecs[0]`. A field that is unset is left out of the
request, so that Vertex AI's own default holds: a string is unset if it is empty, a list or an
object likewise, and `accelerator_count` if it is 0. Any other 0, and `False`, is a value.
"""

TAIL = """
Environment variables of a step are ZenML's: `environment` of the step or the pipeline, or
`@step(secrets=[NAME])`. Image and command are ZenML's too.

## What is checked, and when

- In code and at registration, as soon as they are written: unknown names, values of the wrong
  type, and values that cannot work whatever else is set, such as a zone for `region`.
- Of a step, before an image is built, all in one error that names the step: the same for what is
  written in YAML or as a dict; values that cannot go together, such as an accelerator without a
  count, or not the one that a machine has built in; a `machine_type` that is smaller than the
  step's `ResourceSettings`; `additional_training_job_args` and unknown names in
  `custom_job_overrides`; labels and names of environment
  variables; values of enums that the installed client cannot send; secrets that do not exist; a
  missing key file. Then a project that is not the connector's.
- Unknown machine types and disks, new regions, and accelerators that only the installed client
  knows are *warnings* with the nearest known name: Google adds some every month, and Vertex AI
  decides.

An error shows the value that was written, but none of `env` and none that comes from a secret.

`gpu_count` of the step's `ResourceSettings` overrides `accelerator_count`; 0 turns
the accelerator off for one step, whatever names its type. `cpu_count` and `memory` choose the
machine type where none is set, and must fit into one that is: see
[Machines from wishes](../how-to/gpus.md#machines-from-wishes).

## Secrets

A text that is `{{name.key}}` and nothing else is looked up in ZenML's secret `name`, also inside
lists and objects (`labels`, `additional_training_job_args`, `custom_job_overrides`), where ZenML
itself does not look. The job has the value, for everybody who may read jobs. That the secret exists
is checked before an image is built.

## custom_job_overrides

Any part of the [CustomJob](https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs)
as the API's JSON, as an object or as JSON text, for what the settings do not say and for fields
that Google has added since:

```yaml
settings:
  step_operator:
    custom_job_overrides:
      jobSpec:
        workerPoolSpecs:
          - {}
          - replicaCount: 2
            machineSpec: {machineType: n1-standard-4}
            containerSpec: {imageUri: europe-docker.pkg.dev/my-project/my-repository/worker}
```

- Names are in either of the API's spellings, `jobSpec` or `job_spec`.
- It is merged into the request last, over everything else: objects field by field; a list replaces
  the one that is there, but for `workerPoolSpecs`, which are merged one by one (the first is the
  step's own, `{}` leaves it as it is), and `env` of the step's container, which adds to its
  variables. `null` takes a field away, so that Vertex AI's default holds.
- Names that do not exist and values of the wrong type are refused with their path before an image
  is built. The same checks hold for what it sets as for the settings of the same meaning.
- It cannot change what the operator needs: its labels, image, command and arguments of the step's
  container, variables that begin with `ZENML_VERTEX_`, and `replicaCount` of the first worker pool.
  Nor can it set what Vertex AI sets, such as `name` and `state`.
- A step's is merged with its component's as ZenML merges objects: lists are replaced there,
  `workerPoolSpecs` too.

## additional_training_job_args

Named as the arguments of Google Cloud Pipeline Components'
[`create_custom_training_job_from_component`](https://google-cloud-pipeline-components.readthedocs.io/en/google-cloud-pipeline-components-2.22.0/api/v1/custom_job.html),
which are read and checked as the settings are. They override the settings of the
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
    "replica_count": "must be 1",
}

_RESERVATION = "projects/my-project/zones/europe-west4-a/reservations/my-reservation"
_EXPERIMENT = "projects/my-project/locations/europe-west4/metadataStores/default/contexts/digits"

EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "Machine": {
        "machine_type": "a2-highgpu-1g",
        "accelerator_type": "A100",
        "accelerator_count": 1,
        "gpu_partition_size": "1g.10gb",
        "tpu_topology": "2x2",
        "reservation_affinity_type": "SPECIFIC_RESERVATION",
        "reservation_affinity_key": "compute.googleapis.com/reservation-name",
        "reservation_affinity_values": [_RESERVATION],
        "persistent_resource_id": "my-resource",
        "persistent_resource_match": "adopt",
        "persistent_resource_fallback": True,
    },
    "Disk": {
        "boot_disk_type": "pd-standard",
        "boot_disk_size_gb": 200,
        "disk_type": "pd-standard",
        "disk_size_gb": 200,
    },
    "Scheduling": {
        "timeout": "2h30m",
        "scheduling_strategy": "FLEX_START",
        "strategy": "FLEX_START",
        "max_wait_duration": "PT12H",
        "restart_job_on_worker_restart": True,
        "disable_retries": False,
    },
    "Network": {
        "network": "projects/123456789012/global/networks/my-network",
        "reserved_ip_ranges": ["my-range"],
        "psc_interface_config": {
            "network_attachment": (
                "projects/my-project/regions/europe-west4/networkAttachments/my-attachment"
            ),
            "dns_peering_configs": [
                {
                    "domain": "example.com.",
                    "target_project": "my-project",
                    "target_network": "my-network",
                }
            ],
        },
    },
    "Identity and place": {
        "service_account": "trainer@my-project.iam.gserviceaccount.com",
        "service_account_path": "/keys/submitter.json",
        "project": "my-project",
        "region": "europe-west4",
        "api_endpoint": "http://127.0.0.1:8085",
        "encryption_spec_key_name": (
            "projects/my-project/locations/europe-west4/keyRings/my-ring/cryptoKeys/my-key"
        ),
    },
    "Storage": {
        "base_output_dir": "gs://my-bucket/digits",
        "base_output_directory": "gs://my-bucket/digits",
        "nfs_mounts": [{"server": "10.0.0.2", "path": "/data", "mount_point": "data"}],
        "lustre_mounts": [
            {
                "instance_ip": "10.0.0.3",
                "volume_handle": "my-volume",
                "filesystem": "lustrefs",
                "mount_point": "scratch",
            }
        ],
        "models": ["projects/my-project/locations/europe-west4/models/1234@2"],
        "protected_artifact_location_id": "europe-west1",
    },
    "Names and labels": {
        "display_name": "digits",
        "labels": {"team": "vision", "version": 3},
    },
    "Following and debugging": {
        "tensorboard": "projects/my-project/locations/europe-west4/tensorboards/1234",
        "experiment": _EXPERIMENT,
        "experiment_run": f"{_EXPERIMENT}-1",
        "enable_web_access": True,
        "enable_dashboard_access": True,
        "on_client_exit": "detach",
        "lingering_seconds": 60,
        "server_outage_seconds": 3600,
        "environment_secrets": "secret-manager",
    },
    "Everything else": {
        "additional_training_job_args": {"timeout": "2h30m", "labels": {"team": "vision"}},
        "custom_job_overrides": {"jobSpec": {"scheduling": {"timeout": "9000s"}}},
    },
}
"""Name of a task -> name of a setting -> a value of it."""

NEEDS: Mapping[str, Mapping[str, Any]] = {
    "accelerator_type": {"accelerator_count": 1},
    "accelerator_count": {"accelerator_type": "A100"},
    "gpu_partition_size": {"accelerator_type": "A100", "accelerator_count": 1},
    "tpu_topology": {"machine_type": "ct5lp-hightpu-4t"},
    "max_wait_duration": {"scheduling_strategy": "FLEX_START"},
    "tensorboard": {
        "service_account": "trainer@my-project.iam.gserviceaccount.com",
        "base_output_dir": "gs://my-bucket/digits",
    },
    "environment_secrets": {"service_account": "trainer@my-project.iam.gserviceaccount.com"},
    "reservation_affinity_type": {
        "reservation_affinity_key": "compute.googleapis.com/reservation-name",
        "reservation_affinity_values": [_RESERVATION],
    },
    "reservation_affinity_key": {
        "reservation_affinity_type": "SPECIFIC_RESERVATION",
        "reservation_affinity_values": [_RESERVATION],
    },
    "reservation_affinity_values": {
        "reservation_affinity_type": "SPECIFIC_RESERVATION",
        "reservation_affinity_key": "compute.googleapis.com/reservation-name",
    },
    "reserved_ip_ranges": {"network": "projects/123456789012/global/networks/my-network"},
    "experiment_run": {"experiment": _EXPERIMENT},
}
"""Name of a setting -> what it does not go without."""


def _name_type(annotation: object) -> str:
    parts = get_args(annotation) if _is_union(annotation) else (annotation,)
    names = [str(getattr(p, "__name__", p)) if not get_args(p) else str(p) for p in parts]
    return " or ".join(name.replace("typing.", "") for name in names if name != "NoneType")


def _is_union(annotation: object) -> bool:
    return get_origin(annotation) is Union or type(annotation).__name__ == "UnionType"


def _describe_path(name: str) -> str:
    path = ROWS[name].path if name in ROWS else ""
    return f"`{path.replace('jobSpec.workerPoolSpecs[0]', 'POOL')}`" if path else ""


def _render_task(examples: Mapping[str, Any]) -> str:
    lines = [
        "| setting | type | default | what it is | example | in the CustomJob |\n",
        "|---|---|---|---|---|---|\n",
    ]
    for name, example in examples.items():
        field = VertexStepOperatorSettings.model_fields[name]
        default = field.get_default(call_default_factory=True)
        shown = "" if default is None else f"`{default}`"
        description = (field.description or "").replace("|", "\\|")
        lines.append(
            f"| `{name}` | {_name_type(field.annotation)} | {shown} | {description} "
            f"| `{json.dumps(example)}` | {_describe_path(SPELLINGS.get(name, name))} |\n"
        )
    return "".join(lines)


def render() -> str:
    """The page as Markdown."""
    settings = VertexStepOperatorSettings.model_fields
    tasks = [f"\n## {task}\n\n{_render_task(examples)}" for task, examples in EXAMPLES.items()]
    arguments = [
        f"| `{argument}` | {NOTES.get(argument) or _describe_path(name)} |\n"
        for argument, name in ARGUMENTS.items()
        if name not in settings
    ]
    return HEAD + "".join(tasks) + TAIL + "".join(arguments)


if __name__ == "__main__":
    sys.stdout.write(render())
