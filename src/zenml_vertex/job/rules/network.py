"""Rules on the VPC network."""

import re
from collections.abc import Iterator

from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.machines import load_catalogue
from zenml_vertex.job.readers import SECRET, show_value

_NETWORK = re.compile(r"projects/\d+/global/networks/[a-z](?:[-a-z0-9]*[a-z0-9])?")
_RANGE_NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")


def find_wrong_values(job: JobFields) -> Iterator[str]:
    """A network without the project's number, and IP ranges that are not given by name."""
    if job.network and not _NETWORK.fullmatch(job.network):
        yield (
            f"{job.state('network')}. Write "
            "`projects/PROJECT_NUMBER/global/networks/NAME`, with the project's number instead of "
            "its ID (`gcloud projects describe PROJECT --format='value(projectNumber)'` prints it) "
            "and a name of lowercase letters, digits and hyphens."
        )
    for name in job.reserved_ip_ranges or ():
        if not _RANGE_NAME.fullmatch(name):
            shown = SECRET if job.is_secret("reserved_ip_ranges") else show_value(name)
            yield (
                f"{job.cite('reserved_ip_ranges')} has {shown}, which is not a valid range name. "
                "Write names, not addresses: `gcloud compute addresses list --global "
                "--filter=purpose=VPC_PEERING` lists them."
            )


def advise(job: JobFields) -> Iterator[str]:
    """A machine that cannot be peered with a network."""
    machine = load_catalogue().machines.get(job.machine_type or "")
    if job.network and machine and not machine.vpc_peering:
        yield (
            f"{job.state('machine_type')}, which cannot be peered with a `network`; Vertex AI "
            "requires a Private Service Connect interface on it."
        )
