"""The rules that the service checks when a job is created; it reports all violations. Pure.

Messages with a source beside them are the service's own, as public reports quote them;
the others state a documented rule in the emulator's words.
Paths are in snake_case, as the service writes them.
"""

import re
from collections.abc import Iterator
from datetime import timedelta

from vertex_emulator.core.errors import Json, Violation
from vertex_emulator.core.times import parse_duration
from vertex_emulator.jobs.pool_rules import REQUIRED, find_pool_violations

# Vertex API reference, CustomJob.displayName and CustomJob.labels.
MAX_DISPLAY_NAME_CHARACTERS = 128
MAX_LABELS = 64
MAX_LABEL_CHARACTERS = 63
MAX_LABEL_BYTES = 127
# https://cloud.google.com/vertex-ai/docs/training/schedule-jobs-dws
MAX_FLEX_START_TIMEOUT = timedelta(days=7)

# Public notebooks that quote the service.
LABELS_MESSAGE = (
    "There can be no more than 64 labels attached to a single resource. Label keys and values can "
    "only contain lowercase letters, numbers, dashes and underscores. Label keys must start with "
    "a letter or number, must be less than 64 characters in length, and must be less that 128 "
    "bytes in length when encoded in UTF-8. Label values must be less than 64 characters in "
    "length, and must be less that 128 bytes in length when encoded in UTF-8."
)
RESOURCE_ID_MESSAGE = (
    "persistent_resource_id can only contain numbers, lower case letters and hyphens. The first "
    "character must be a letter, and the last character must be a letter or number."
)
# Reported wording, 2026.
MAX_WAIT_MESSAGE = "max_wait_duration is only supported for FLEX_START."

RESOURCE_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_NETWORK = re.compile(r"projects/[0-9]+/global/networks/[^/]+")
_ATTACHMENT = re.compile(r"projects/[^/]+/regions/[^/]+/networkAttachments/[^/]+")
_KMS_KEY = re.compile(r"projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def find_violations(job: Json, location: str) -> list[Violation]:
    """Everything that is wrong with a job.

    Args:
        job: The CustomJob as `messages.read_custom_job` returns it.
        location: Region that it is created in.
    """
    spec = job.get("jobSpec")
    found = [*_check_display_name(job), *check_labels(job), *check_key(job, location)]
    if spec is None:
        return [*found, Violation("job_spec", REQUIRED)]
    return [
        *found,
        *_check_persistent_resource(spec),
        *_check_scheduling(spec.get("scheduling", {})),
        *check_network(spec),
        *_check_identity(spec),
        *_check_output(spec),
        *find_pool_violations(spec),
    ]


def _check_display_name(job: Json) -> Iterator[Violation]:
    name = job.get("displayName", "")
    if not name:
        yield Violation("display_name", REQUIRED)
    elif len(name) > MAX_DISPLAY_NAME_CHARACTERS:
        yield Violation("display_name", "The display name must be at most 128 characters long.")


def check_labels(resource: Json) -> Iterator[Violation]:
    """Everything that is wrong with the labels of a resource."""
    labels: dict[str, str] = resource.get("labels", {})
    if len(labels) > MAX_LABELS or not all(
        key[:1].isalnum() and _is_label_text(key) and _is_label_text(value)
        for key, value in labels.items()
    ):
        yield Violation("labels", LABELS_MESSAGE)


def _is_label_text(text: str) -> bool:
    """Digits, `_`, `-`, and letters of any script that are not in upper case."""
    return (
        len(text) <= MAX_LABEL_CHARACTERS
        and len(text.encode()) <= MAX_LABEL_BYTES
        and all(char in "_-" or (char.isalnum() and char == char.lower()) for char in text)
    )


def check_key(resource: Json, location: str) -> Iterator[Violation]:
    """Everything that is wrong with the key of a resource in a region."""
    where = "encryption_spec.kms_key_name"
    name = resource.get("encryptionSpec", {}).get("kmsKeyName", "")
    # An empty message, as ZenML's own operator sends it, names no key.
    if not name:
        return
    key = _KMS_KEY.fullmatch(name)
    if key is None:
        yield Violation(
            where, "The key must be `projects/P/locations/REGION/keyRings/R/cryptoKeys/K`."
        )
    elif key.group(1) != location:
        yield Violation(where, f"The key must be in the same region, `{location}`.")


def _check_persistent_resource(spec: Json) -> Iterator[Violation]:
    resource_id = spec.get("persistentResourceId")
    if resource_id is None:
        return
    if not RESOURCE_ID.fullmatch(resource_id):
        yield Violation("persistent_resource_id", RESOURCE_ID_MESSAGE)
    if _reserves(spec):
        yield Violation(
            "job_spec.persistent_resource_id",
            "A persistent resource cannot be used with a reservation affinity.",
        )


def _check_scheduling(scheduling: Json) -> Iterator[Violation]:
    where = "job_spec.scheduling"
    for field, name in (("timeout", "timeout"), ("maxWaitDuration", "max_wait_duration")):
        if parse_duration(scheduling.get(field, "0s")) < timedelta(0):
            yield Violation(f"{where}.{name}", "The duration must not be negative.")
    flex_start = scheduling.get("strategy") == "FLEX_START"
    if "maxWaitDuration" in scheduling and not flex_start:
        yield Violation(f"{where}.max_wait_duration", MAX_WAIT_MESSAGE)
    if flex_start and parse_duration(scheduling.get("timeout", "0s")) > MAX_FLEX_START_TIMEOUT:
        yield Violation(f"{where}.timeout", "With FLEX_START the timeout is at most 7 days.")


def check_network(spec: Json, prefix: str = "job_spec.") -> Iterator[Violation]:
    """Everything that is wrong with the networks of a job or of another resource.

    Args:
        spec: What has `network` and `pscInterfaceConfig`.
        prefix: Of the paths of the fields.
    """
    network = spec.get("network")
    if network is not None and not _NETWORK.fullmatch(network):
        yield Violation(
            f"{prefix}network",
            "The network must be `projects/{project number}/global/networks/{network}`.",
        )
    where = f"{prefix}psc_interface_config"
    interface = spec.get("pscInterfaceConfig", {})
    attachment = interface.get("networkAttachment")
    if attachment is not None and not _ATTACHMENT.fullmatch(attachment):
        yield Violation(
            f"{where}.network_attachment",
            "The attachment must be `projects/P/regions/REGION/networkAttachments/N`.",
        )
    for index, peering in enumerate(interface.get("dnsPeeringConfigs", ())):
        at = f"{where}.dns_peering_configs[{index}]"
        for field, name in (("targetProject", "project"), ("targetNetwork", "network")):
            if not peering.get(field):
                yield Violation(f"{at}.target_{name}", REQUIRED)
        if not peering.get("domain", "").endswith("."):
            yield Violation(f"{at}.domain", "The domain must end with a dot.")


def _check_identity(spec: Json) -> Iterator[Violation]:
    where = "job_spec.service_account"
    account = spec.get("serviceAccount")
    if account is not None and not _EMAIL.fullmatch(account):
        # python-aiplatform #1073; the service checks that the account exists.
        yield Violation(
            where,
            f"You do not have permission to act as service_account: {account}. "
            "(or it may not exist).",
        )
    if spec.get("tensorboard") and not account:
        yield Violation(where, "A service account is required with `tensorboard`.")


def _check_output(spec: Json) -> Iterator[Violation]:
    if "baseOutputDirectory" not in spec:
        return
    where = "job_spec.base_output_directory.output_uri_prefix"
    prefix = spec["baseOutputDirectory"].get("outputUriPrefix", "")
    if not prefix:
        yield Violation(where, REQUIRED)
    elif not re.match(r"gs://[^/]", prefix):
        yield Violation(where, "The prefix must be a Cloud Storage URI, `gs://BUCKET/...`.")


def _reserves(spec: Json) -> bool:
    return any(
        pool.get("machineSpec", {}).get("reservationAffinity")
        for pool in spec.get("workerPoolSpecs", ())
    )
