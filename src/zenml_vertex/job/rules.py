"""What Vertex AI would refuse, said beforehand and all at once.

Two kinds: `check_fields` looks at each value by itself and runs as soon as
settings are written down; `check_job` looks at the values that a step and its
component make together, before an image is built. What Google may extend any
day (machines, accelerators, disks) is advice, see `advise`.

Limits are those of the CustomJob reference
(https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs).
"""

import re
from collections.abc import Iterable, Iterator

from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.machines import Catalogue, Machine, load_catalogue, nearest
from zenml_vertex.job.settings import JobSettings

MIN_BOOT_DISK_GB = 100
MAX_BOOT_DISK_GB = 64_000
BOOT_DISK_TYPES = ("pd-ssd", "pd-standard", "hyperdisk-balanced")

_REGION = re.compile(r"[a-z]+(?:-[a-z]+)+\d+")
_ZONE = re.compile(r"([a-z]+(?:-[a-z]+)+\d+)-[a-z]")
_NETWORK = re.compile(r"projects/\d+/global/networks/[a-z](?:[-a-z0-9]*[a-z0-9])?")
_RANGE_NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
_KMS_KEY = re.compile(r"projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+")
_RESOURCE_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_SERVICE_ACCOUNT = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def check_fields(settings: JobSettings) -> None:
    """Refuse values that no other setting can make right.

    Raises:
        ConfigurationError: Naming every such value and what to write instead.
    """
    problems = list(_field_problems(settings))
    if problems:
        raise ConfigurationError(problems)


def check_job(settings: JobSettings, *, gpu_count: int | None, where: str = "") -> None:
    """Refuse values that cannot go together.

    Args:
        settings: The step's settings over the component's.
        gpu_count: `gpu_count` of the step's ResourceSettings; None where it is not set.
        where: Whose settings they are, for the message.

    Raises:
        ConfigurationError: Naming every conflict and how to solve it.
    """
    problems = [*_field_problems(settings), *_job_problems(settings, gpu_count)]
    if problems:
        raise ConfigurationError(problems, where=where)


def advise(settings: JobSettings, *, gpu_count: int | None) -> list[str]:
    """What Vertex AI will probably refuse, as far as the catalogue knows; one sentence each."""
    return list(_advice(settings, gpu_count, load_catalogue()))


def effective_accelerator(settings: JobSettings, gpu_count: int | None) -> tuple[str | None, int]:
    """The accelerator that a job asks for, as (type, count); (None, 0) is none.

    `gpu_count`, where it is set, goes before `accelerator_count`: 0 turns the
    component's accelerator off for one step. The type is in the API's upper case.
    """
    count = settings.accelerator_count if gpu_count is None else gpu_count
    if gpu_count == 0:
        return None, 0
    accelerator_type = settings.accelerator_type
    return (accelerator_type.upper() if accelerator_type else None), count


def parse_reserved_ip_ranges(value: str | list[str] | None) -> list[str]:
    """Read one name, a comma list, or a JSON list (`["a", "b"]`) of range names.

    The names need no quotes or brackets, so stripping these reads all three.
    """
    if not value:
        return []
    parts = value if isinstance(value, list) else value.strip().strip("[]").split(",")
    names = (str(part).strip().strip("\"'").strip() for part in parts)
    return [name for name in names if name]


def _field_problems(settings: JobSettings) -> Iterator[str]:
    yield from _region_problems(settings)
    size = settings.boot_disk_size_gb
    if not MIN_BOOT_DISK_GB <= size <= MAX_BOOT_DISK_GB:
        yield (
            f"`boot_disk_size_gb` is {size}; Vertex AI takes "
            f"{MIN_BOOT_DISK_GB} to {MAX_BOOT_DISK_GB}. Write boot_disk_size_gb="
            f"{min(max(size, MIN_BOOT_DISK_GB), MAX_BOOT_DISK_GB)}."
        )
    if settings.accelerator_count < 0:
        yield f"`accelerator_count` is {settings.accelerator_count}. Write 0 for no accelerator."
    if settings.network and not _NETWORK.fullmatch(settings.network):
        yield (
            f"`network` is `{settings.network}`; Vertex AI takes "
            "`projects/PROJECT_NUMBER/global/networks/NAME`, with the number and not the ID of "
            "the project. `gcloud projects describe PROJECT --format='value(projectNumber)'` "
            "prints it."
        )
    for name in parse_reserved_ip_ranges(settings.reserved_ip_ranges):
        if not _RANGE_NAME.fullmatch(name):
            yield (
                f"`reserved_ip_ranges` has `{name}`, which is no name of a range. Write names, "
                "not addresses: `gcloud compute addresses list --global "
                "--filter=purpose=VPC_PEERING` lists them."
            )
    key = settings.encryption_spec_key_name
    if key and not _KMS_KEY.fullmatch(key):
        yield (
            f"`encryption_spec_key_name` is `{key}`; Vertex AI takes the key's full name, "
            "`projects/P/locations/REGION/keyRings/R/cryptoKeys/K`, as `gcloud kms keys list "
            "--keyring=R --location=REGION` prints it."
        )
    if settings.persistent_resource_id and not _RESOURCE_ID.fullmatch(
        settings.persistent_resource_id
    ):
        yield (
            f"`persistent_resource_id` is `{settings.persistent_resource_id}`; it can only have "
            "lower-case letters, numbers and hyphens, starts with a letter, and is the ID alone: "
            "the last part of the resource's name."
        )
    if settings.service_account and not _SERVICE_ACCOUNT.fullmatch(settings.service_account):
        yield (
            f"`service_account` is `{settings.service_account}`; write its e-mail address. "
            "`gcloud iam service-accounts list` shows it."
        )


def _region_problems(settings: JobSettings) -> Iterator[str]:
    region = settings.region
    if not region or settings.api_endpoint:
        return  # an endpoint of one's own may serve any location
    if zone := _ZONE.fullmatch(region):
        yield f"`region` is `{region}`, which is a zone. Write region={zone.group(1)}."
    elif not _REGION.fullmatch(region):
        close = nearest(region.lower(), load_catalogue().regions)
        yield f"`region` is `{region}`, which is no region. Write region={close or 'us-central1'}."
    elif not _is_plausible_region(region, load_catalogue()):
        close = nearest(region, load_catalogue().regions)
        yield (
            f"`region` is `{region}`, where Vertex AI has no training"
            + (f". Did you mean `{close}`? " if close else ". ")
            + "If Google has opened it since, set api_endpoint="
            f"https://{region}-aiplatform.googleapis.com as well."
        )


def _is_plausible_region(region: str, catalogue: Catalogue) -> bool:
    """Whether it is known, or a new number of a known place, such as `us-east9`."""
    place = region.rstrip("0123456789")
    return region in catalogue.regions or any(
        known.rstrip("0123456789") == place for known in catalogue.regions
    )


def _job_problems(settings: JobSettings, gpu_count: int | None) -> Iterator[str]:
    if not settings.region:
        yield "`region` is not set. Write, for example, region=europe-west4."
    accelerator_type, count = effective_accelerator(settings, gpu_count)
    if count and not accelerator_type:
        source = f"gpu_count={count}" if gpu_count else f"accelerator_count={count}"
        yield (
            f"{source} without `accelerator_type`: the step would run without a GPU. Write, "
            "for example, accelerator_type='NVIDIA_TESLA_T4', or set the count to 0."
        )
    if accelerator_type and not count:
        yield (
            f"accelerator_type='{accelerator_type}' without a count: the step would run without "
            "it. Write accelerator_count=1, or leave the type out."
        )
    if settings.restart_job_on_worker_restart and settings.disable_retries:
        yield (
            "`restart_job_on_worker_restart` has no effect while `disable_retries` is on. Set one "
            "of them."
        )
    key = _KMS_KEY.fullmatch(settings.encryption_spec_key_name or "")
    if key and settings.region and key.group(1) != settings.region:
        yield (
            f"`encryption_spec_key_name` is a key in `{key.group(1)}` and the job runs in "
            f"`{settings.region}`. Use a key of the job's region; multi-region and global keys "
            "are not taken."
        )


def _advice(settings: JobSettings, gpu_count: int | None, catalogue: Catalogue) -> Iterator[str]:
    region = settings.region
    if region and not settings.api_endpoint and region not in catalogue.regions:
        yield f"`region={region}` is not in this version's list of training regions."
    if settings.boot_disk_type not in BOOT_DISK_TYPES:
        yield _unknown("boot_disk_type", settings.boot_disk_type, BOOT_DISK_TYPES)
    machine_type = settings.machine_type
    accelerator_type, count = effective_accelerator(settings, gpu_count)
    if accelerator_type and accelerator_type not in catalogue.accelerators:
        yield _unknown("accelerator_type", accelerator_type, catalogue.accelerators)
        return
    if not catalogue.is_known_machine(machine_type):
        known = {*catalogue.machines, *catalogue.other_machines}
        yield _unknown("machine_type", machine_type, known)
        return
    machine = catalogue.machines.get(machine_type)
    if machine is None:
        return  # TPU machines have rules of their own
    if settings.network and not machine.vpc_peering:
        yield (
            f"`machine_type={machine_type}` cannot be peered with a `network`; Vertex AI asks "
            "for a Private Service Connect interface on it."
        )
    yield from _accelerator_advice(machine_type, machine, accelerator_type, count)


def _accelerator_advice(
    machine_type: str, machine: Machine, accelerator_type: str | None, count: int
) -> Iterator[str]:
    if accelerator_type:
        counts = machine.accelerators.get(accelerator_type)
        if counts is None:
            fitting = ", ".join(machine.accelerators) or "no accelerator"
            yield f"`{machine_type}` takes {fitting}, and not {accelerator_type}."
        elif count not in counts:
            listed = ", ".join(map(str, counts))
            yield f"`{machine_type}` takes {accelerator_type} in counts of {listed}, not {count}."
    elif machine.accelerator_required:
        name, counts = next(iter(machine.accelerators.items()))
        yield (
            f"`{machine_type}` has its accelerator built in, and the job must name it: "
            f"accelerator_type='{name}', accelerator_count={counts[0]}."
        )


def _unknown(field: str, value: str, known: Iterable[str]) -> str:
    close = nearest(value, known)
    hint = f" Did you mean `{close}`?" if close else ""
    return f"`{field}={value}` is not in this version's list; Vertex AI may still know it.{hint}"
