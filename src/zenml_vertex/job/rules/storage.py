"""Rules on the boot disk, and on the key that encrypts what is stored."""

import re
from collections.abc import Iterator

from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.machines import describe_unknown, nearest
from zenml_vertex.job.readers import SECRET, show_value

MIN_BOOT_DISK_GB = 100
MAX_BOOT_DISK_GB = 64_000
BOOT_DISK_TYPES = ("pd-ssd", "pd-standard", "hyperdisk-balanced")
_BUCKET = re.compile(r"gs://[a-z0-9][a-z0-9._-]+(?:/.*)?")
_KMS_KEY = re.compile(r"projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+")


def find_wrong_values(job: JobFields) -> Iterator[str]:
    """A disk size out of range, and a key without its full name."""
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
