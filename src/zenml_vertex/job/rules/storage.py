"""Rules on the boot disk, mounts, models and output, and on the key that encrypts them."""

import re
from collections.abc import Iterator, Sequence

from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.machines import describe_unknown, nearest
from zenml_vertex.job.messages import camel_case
from zenml_vertex.job.readers import SECRET, show_value

MIN_BOOT_DISK_GB = 100
MAX_BOOT_DISK_GB = 64_000
BOOT_DISK_TYPES = ("pd-ssd", "pd-standard", "hyperdisk-balanced")
# https://cloud.google.com/vertex-ai/docs/reference/rest/v1/CustomJobSpec#NfsMount
_MOUNTS = {
    "nfs_mounts": ("server", "path", "mount_point"),
    "lustre_mounts": ("instance_ip", "volume_handle", "filesystem", "mount_point"),
}
_MODEL = re.compile(r"projects/[^/\s]+/locations/[^/\s]+/models/[^/\s]+")
_BUCKET = re.compile(r"gs://[a-z0-9][a-z0-9._-]+(?:/.*)?")
_KMS_KEY = re.compile(r"projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+")


def find_wrong_values(job: JobFields) -> Iterator[str]:
    """A disk size out of range, a key without its full name, and a mount without all it needs."""
    size = job.boot_disk_size_gb
    if size is not None and not MIN_BOOT_DISK_GB <= size <= MAX_BOOT_DISK_GB:
        yield (
            f"{job.cite('boot_disk_size_gb')} is {size}; Vertex AI accepts {MIN_BOOT_DISK_GB} to "
            f"{MAX_BOOT_DISK_GB}. Write {job.spell('boot_disk_size_gb')}="
            f"{min(max(size, MIN_BOOT_DISK_GB), MAX_BOOT_DISK_GB)}."
        )
    key = job.encryption_spec_key_name
    if key and not _KMS_KEY.fullmatch(key):
        yield (
            f"{job.state('encryption_spec_key_name')}. Write the key's full name, "
            "`projects/P/locations/REGION/keyRings/R/cryptoKeys/K`, as `gcloud kms keys list "
            "--keyring=R --location=REGION` prints it."
        )

    output = job.base_output_dir
    if output and not _BUCKET.fullmatch(output):
        yield f"{job.state('base_output_dir')}. Write a folder in a bucket: gs://BUCKET/FOLDER."
    yield from _find_mount_problems(job)
    yield from _find_model_problems(job)


def _find_mount_problems(job: JobFields) -> Iterator[str]:
    """Mounts that lack a part, and paths that are not absolute."""
    for name, needed in _MOUNTS.items():
        for index, mount in enumerate(getattr(job, name) or ()):
            lacking = [part for part in needed if not mount.get(camel_case(part))]
            if lacking:
                yield (
                    f"{job.cite(name)} has a mount `[{index}]` without {_list(lacking)}. A mount "
                    f"has {_list(needed)}."
                )
    for index, mount in enumerate(job.nfs_mounts or ()):
        path = mount.get("path")
        if path and not path.startswith("/"):
            shown = SECRET if job.is_secret("nfs_mounts") else show_value(path)
            yield (
                f"{job.cite('nfs_mounts')} has {shown} for `[{index}].path`, which must start "
                "with `/`: write the path of the share on its server."
            )


def _find_model_problems(job: JobFields) -> Iterator[str]:
    """Models without their full names."""
    for model in job.models or ():
        if not _MODEL.fullmatch(model):
            shown = SECRET if job.is_secret("models") else show_value(model)
            yield (
                f"{job.cite('models')} has {shown}. Write full names, "
                "`projects/P/locations/REGION/models/ID` or with `@VERSION` behind; `gcloud ai "
                "models list --region=REGION` lists the IDs."
            )


def _list(names: Sequence[str]) -> str:
    shown = [f"`{name}`" for name in names]
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def find_conflicts(job: JobFields) -> Iterator[str]:
    """A key outside the job's region."""
    key = _KMS_KEY.fullmatch(job.encryption_spec_key_name or "")
    if key and job.region and key.group(1) != job.region:
        place = SECRET if job.is_secret("encryption_spec_key_name") else show_value(key.group(1))
        yield (
            f"{job.cite('encryption_spec_key_name')} is a key in {place} and the job "
            f"runs in {job.show('region')}. Use a key of the job's region; Vertex AI accepts "
            "neither multi-region nor global keys."
        )


def advise(job: JobFields) -> Iterator[str]:
    """An unknown type of disk, which may be new."""
    if job.boot_disk_type and job.boot_disk_type not in BOOT_DISK_TYPES:
        close = nearest(job.boot_disk_type, BOOT_DISK_TYPES)
        yield describe_unknown(job.state("boot_disk_type"), close)
