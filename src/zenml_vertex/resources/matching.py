"""Whether a job fits a persistent resource: every difference, side by side. Pure.

The machine and the disk of a job must be those of a pool, exactly, and its network and key those
of the resource: https://cloud.google.com/vertex-ai/docs/training/persistent-resource-train and
https://cloud.google.com/vertex-ai/docs/reference/rest/v1/CustomJobSpec. What is compared is read
off the table of fields: a new field of the machine is compared as soon as it has its row.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zenml_vertex.job.fields import ROWS, JobFields
from zenml_vertex.job.machines import load_catalogue
from zenml_vertex.job.readers import SECRET, show_value
from zenml_vertex.resources.resource import PersistentResource, Pool

# Where the parts of a job are in a pool, and where those are that the whole resource has.
_IN_POOL = {
    "jobSpec.workerPoolSpecs[0].machineSpec.": "machineSpec",
    "jobSpec.workerPoolSpecs[0].diskSpec.": "diskSpec",
}
_IN_RESOURCE = {
    "jobSpec.network": "network",
    "jobSpec.pscInterfaceConfig": "pscInterfaceConfig",
    "encryptionSpec.kmsKeyName": "encryptionSpec.kmsKeyName",
}
# What Vertex AI fills in, as recorded in public
# (https://github.com/GoogleCloudPlatform/k8s-config-connector, aiplatformpersistentresource).
_DISK_DEFAULTS = {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100}
_ACCOUNT = "service_account"


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that a job and a persistent resource have in different ways."""

    field: str
    # The setting, as the person has written it, and both values, for people.
    cited: str
    wanted: str
    there: str
    # What the resource has, in the API's spelling; None for nothing.
    value: Any = None
    # Whether a job can take it over.
    is_adoptable: bool = True


@dataclass(frozen=True, slots=True)
class Match:
    """The pool of a resource that a job fits best, and what still differs."""

    pool: Pool | None
    differences: tuple[Difference, ...]

    @property
    def is_exact(self) -> bool:
        """Whether the job fits."""
        return not self.differences


def find_match(job: JobFields, resource: PersistentResource) -> Match:
    """Compare a job with a persistent resource.

    Args:
        job: What the step asks for.
        resource: The resource.
    """
    common = [*_compare_common(job, resource), *_compare_account(job, resource)]
    found = [(pool, [*_compare_pool(job, pool)]) for pool in resource.pools]
    if not found:
        return Match(None, tuple(common))
    pool, differences = min(found, key=lambda item: (len(item[1]), -item[0].free))
    return Match(pool, (*differences, *common))


def adopt(differences: Sequence[Difference]) -> dict[str, Any]:
    """Name of a field -> the value that the resource has of it, in the field's own spelling."""
    return {one.field: one.value for one in differences if one.is_adoptable}


def describe_side_by_side(differences: Sequence[Difference], resource_id: str) -> str:
    """All differences as a table; it begins with a line break."""
    rows = [("setting", "step", f"resource {resource_id}")]
    rows += [(one.cited.replace("`", ""), one.wanted, one.there) for one in differences]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}" for row in rows]
    return "".join(f"\n    {line}" for line in lines)


def _compare_pool(job: JobFields, pool: Pool) -> Iterator[Difference]:
    parts = {"machineSpec": pool.machine, "diskSpec": pool.disk}
    for name, row in ROWS.items():
        for prefix, part in _IN_POOL.items():
            if row.path.startswith(prefix):
                key = row.path.removeprefix(prefix)
                wanted, there = getattr(job, name), _read(parts[part], key)
                if part == "diskSpec":
                    wanted = _or_default(wanted, key, job.machine_type)
                    there = _or_default(there, key, pool.machine.get("machineType"))
                yield from _compare(job, name, wanted, there)


def _compare_common(job: JobFields, resource: PersistentResource) -> Iterator[Difference]:
    for name, row in ROWS.items():
        for prefix, place in _IN_RESOURCE.items():
            if row.path == prefix or row.path.startswith(f"{prefix}."):
                there = _read(resource.content, place + row.path.removeprefix(prefix))
                yield from _compare(job, name, getattr(job, name), there)


def _compare_account(job: JobFields, resource: PersistentResource) -> Iterator[Difference]:
    """The account that a job runs as: a resource takes jobs with one of their own, or without.

    https://cloud.google.com/vertex-ai/docs/training/persistent-resource-create
    """
    if bool(job.service_account) == resource.has_custom_account:
        return
    yield Difference(
        _ACCOUNT,
        job.cite(_ACCOUNT),
        job.show(_ACCOUNT) if job.service_account else "not set",
        "each job must name one" if resource.has_custom_account else "jobs must not name one",
        # A step under another identity than it was written for would be a surprise.
        is_adoptable=False,
    )


def _compare(job: JobFields, name: str, wanted: Any, there: Any) -> Iterator[Difference]:
    if _plain(wanted) != _plain(there):
        is_secret = job.is_secret(name)
        yield Difference(
            name,
            job.cite(name),
            SECRET if is_secret and _plain(wanted) is not None else _show(wanted),
            # What is in a resource is shown to whoever may read it.
            _show(there),
            there if _plain(there) is not None else None,
        )


def _or_default(value: Any, key: str, machine_type: Any) -> Any:
    if _plain(value) is not None:
        return value
    machine = load_catalogue().machines.get(str(machine_type))
    if key == "bootDiskType" and machine and machine.default_boot_disk:
        return machine.default_boot_disk
    return _DISK_DEFAULTS.get(key)


def _read(content: Any, path: str) -> Any:
    for key in path.split("."):
        content = content.get(key) if isinstance(content, Mapping) else None
    return content


def _plain(value: Any) -> Any:
    """A value for comparisons: nothing is None, however it is spelt, and a number is a number."""
    if isinstance(value, Mapping):
        found = {key: plain for key, item in value.items() if (plain := _plain(item)) is not None}
        return found or None
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value] or None
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value[:20])
    return value or None


def _show(value: Any) -> str:
    if _plain(value) is None:
        return "none"
    if isinstance(value, (Mapping, list, tuple)):
        return show_value(str(value), 60).strip("`")
    return show_value(value).strip("`")
