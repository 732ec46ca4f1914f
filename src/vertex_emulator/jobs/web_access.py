"""Addresses of the interactive shells of a job's replicas. Pure.

https://cloud.google.com/vertex-ai/docs/training/monitor-debug-interactive-shell; their form is that
of google-deepmind/xmanager#15, where a client printed those of two jobs. Nothing answers there.
"""

from hashlib import sha256

from vertex_emulator.core.errors import Json
from vertex_emulator.jobs.cluster import list_tasks

_DOMAIN = "aiplatform-training.googleusercontent.com"
_ID_DIGITS = 16


def build_web_access_uris(job_id: str, location: str, spec: Json) -> dict[str, str]:
    """Replica -> address, as `webAccessUris` has them; none for a job that did not ask for them.

    Args:
        job_id: Numeric ID of the job.
        location: Its region.
        spec: Its CustomJobSpec.
    """
    if not spec.get("enableWebAccess"):
        return {}
    return {
        task.name: f"{_draw_id(job_id, task.name)}-dot-{location}.{_DOMAIN}"
        for task in list_tasks(spec)
    }


def _draw_id(job_id: str, replica: str) -> str:
    return sha256(f"{job_id}/{replica}".encode()).hexdigest()[:_ID_DIGITS]
