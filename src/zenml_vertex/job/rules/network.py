"""Rules on networks: peered ones, and interfaces of Private Service Connect."""

import re
from collections.abc import Iterator

from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.machines import load_catalogue
from zenml_vertex.job.readers import SECRET, show_value

_NETWORK = re.compile(r"projects/\d+/global/networks/[a-z](?:[-a-z0-9]*[a-z0-9])?")
_ATTACHMENT = re.compile(r"projects/[^/\s]+/regions/([^/\s]+)/networkAttachments/[^/\s]+")
_PEERING_FIELDS = {
    "domain": "domain",
    "targetProject": "target_project",
    "targetNetwork": "target_network",
}
_PEERING = (
    "Write, for example, dns_peering_configs=[{'domain': 'example.internal.', "
    "'target_project': 'P', 'target_network': 'N'}]."
)
_RANGE_NAME = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")


def find_wrong_values(job: JobFields) -> Iterator[str]:
    """A network without the project's number, ranges without names, an incomplete interface."""
    yield from _find_interface_problems(job)
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


def find_conflicts(job: JobFields) -> Iterator[str]:
    """Ranges of no network, two ways into a network, and a machine that cannot be peered."""
    interface, machine = job.psc_interface_config, None
    if not job.is_secret("machine_type"):
        machine = load_catalogue().machines.get(job.machine_type or "")
    if interface and (job.network or job.reserved_ip_ranges):
        # What Vertex AI does with both is not documented; its pages have one or the other.
        other = "network" if job.network else "reserved_ip_ranges"
        yield (
            f"{job.cite('psc_interface_config')} and {job.cite(other)} are both set: a job has "
            "either a Private Service Connect interface or a peered network. Remove one of them."
        )
    elif job.reserved_ip_ranges and not job.network and "network" not in job.unreadable:
        yield (
            f"{job.cite('reserved_ip_ranges')} is set, and `network` is not: the ranges are those "
            "of a network. Set network='projects/PROJECT_NUMBER/global/networks/NAME', or remove "
            "them."
        )
    if job.network and machine and not machine.vpc_peering:
        # https://cloud.google.com/vertex-ai/docs/training/using-private-ip
        yield (
            f"{job.state('machine_type')}, which cannot be peered with a `network`. Remove "
            "`network` and set psc_interface_config={'network_attachment': "
            "'projects/P/regions/REGION/networkAttachments/N'}."
        )
    attachment = _ATTACHMENT.fullmatch(str((interface or {}).get("networkAttachment", "")))
    if attachment and job.region and attachment.group(1) != job.region:
        yield (
            f"{job.cite('psc_interface_config')} has a network attachment in "
            f"{_show(job, attachment.group(1))}, and the job runs in {job.show('region')}. Use an "
            "attachment in the job's region."
        )


def _find_interface_problems(job: JobFields) -> Iterator[str]:
    """What is missing in a Private Service Connect interface, or has another form."""
    cited, interface = job.cite("psc_interface_config"), job.psc_interface_config or {}
    attachment = interface.get("networkAttachment")
    if attachment and not _ATTACHMENT.fullmatch(attachment):
        yield (
            f"{cited} has {_show(job, attachment)} for `network_attachment`. Write "
            "`projects/P/regions/REGION/networkAttachments/N`; `gcloud compute "
            "network-attachments list` shows them."
        )
    for peering in interface.get("dnsPeeringConfigs") or ():
        if unset := [name for name in _PEERING_FIELDS if not peering.get(name)]:
            missing = ", ".join(f"`{_PEERING_FIELDS[name]}`" for name in unset)
            yield f"{cited} has a DNS peering without {missing}. {_PEERING}"
        elif not str(peering["domain"]).endswith("."):
            domain = _show(job, peering["domain"])
            yield f"{cited} has the domain {domain}, which must end with a dot. {_PEERING}"


def _show(job: JobFields, value: object) -> str:
    return SECRET if job.is_secret("psc_interface_config") else show_value(value)
