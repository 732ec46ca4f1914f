"""Whether a job can run on a persistent resource. Pure.

Rules: https://cloud.google.com/vertex-ai/docs/training/persistent-resource-train and the Vertex
API reference, `CustomJobSpec.persistentResourceId` and `ServiceAccountSpec`. No text of a
refusal is known: these, and which status comes with them, are the emulator's own.
"""

from collections.abc import Iterator, Sequence

from vertex_emulator.core.errors import ApiError, Json, Violation, found_errors
from vertex_emulator.jobs.warm_machines import find_excess, find_unmatched
from vertex_emulator.persistent_resources.resource import PersistentResource
from vertex_emulator.persistent_resources.states import USABLE

_POOLS = "job_spec.worker_pool_specs"


def refuse_unfit(resource: PersistentResource | None, request: Json) -> None:
    """Refuse a job that cannot run on the persistent resource that it names.

    Args:
        resource: The resource; None if it does not exist.
        request: The CustomJob, with the defaults filled in.

    Raises:
        ApiError: NOT_FOUND, FAILED_PRECONDITION for a resource that takes no jobs now, or
            INVALID_ARGUMENT that names each rule that the job breaks.
    """
    if resource is None:
        raise not_found()
    if resource.state not in USABLE:
        raise not_in_state(resource, "run jobs")
    if violations := list(_find_violations(resource, request)):
        raise found_errors(violations)


def refuse_too_few(updated: PersistentResource, used: Sequence[int]) -> None:
    """Refuse an update that leaves fewer machines than jobs have; assumed.

    Args:
        updated: The resource as it would be.
        used: How many replicas of each pool jobs use.

    Raises:
        ApiError: FAILED_PRECONDITION that names each such pool.
    """
    violations = [
        Violation(
            f"resource_pools[{index}].replica_count",
            f"Jobs use {count} replicas of the resource pool.",
        )
        for index, (count, pool) in enumerate(zip(used, updated.pools, strict=True))
        if pool.replicas < count
    ]
    if violations:
        text = found_errors(violations).message
        raise ApiError("FAILED_PRECONDITION", text, violations=violations)


def not_found() -> ApiError:
    """The answer to a name that no persistent resource has, as recorded."""
    return ApiError("NOT_FOUND", "The PersistentResource does not exist.")


def not_in_state(resource: PersistentResource, what: str) -> ApiError:
    """The refusal of a call that a resource is in the wrong state for.

    Made after the words that were reported for a training pipeline
    (GoogleCloudPlatform/java-docs-samples #9281).

    Args:
        resource: The resource.
        what: What it cannot do or be: `be deleted`.
    """
    return ApiError(
        "FAILED_PRECONDITION",
        f'The PersistentResource "{resource.name}" is in state {resource.state.value} and cannot '
        f"{what}.",
    )


def _find_violations(resource: PersistentResource, request: Json) -> Iterator[Violation]:
    spec: Json = request["jobSpec"]
    named = f"the persistent resource `{resource.resource_id}`"
    unmatched = find_unmatched(spec, resource.pools)
    for index in unmatched:
        text = f"No resource pool of {named} has this machine and this disk."
        yield Violation(f"{_POOLS}[{index}]", text)
    for index in find_excess(spec, resource.pools):
        if index not in unmatched:
            text = f"The resource pool of {named} has fewer replicas."
            yield Violation(f"{_POOLS}[{index}].replica_count", text)
    for field, path in (("network", "network"), ("pscInterfaceConfig", "psc_interface_config")):
        if spec.get(field) != resource.request.get(field):
            yield Violation(f"job_spec.{path}", f"The job must have that of {named}.")
    if _key_of(request) != _key_of(resource.request):
        yield Violation("encryption_spec.kms_key_name", f"The job must have that of {named}.")
    has_account = bool(spec.get("serviceAccount"))
    if resource.has_custom_account and not has_account:
        text = f"A service account is required on {named}, which enforces custom ones."
        yield Violation("job_spec.service_account", text)
    if has_account and not resource.has_custom_account:
        text = f"Jobs on {named}, which has no custom service accounts, cannot name one."
        yield Violation("job_spec.service_account", text)


def _key_of(message: Json) -> str:
    return str(message.get("encryptionSpec", {}).get("kmsKeyName", ""))
