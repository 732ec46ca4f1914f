"""Rules on restarts."""

from collections.abc import Iterator

from zenml_vertex.job.fields import JobFields


def find_conflicts(job: JobFields) -> Iterator[str]:
    """Restarts that are both requested and turned off."""
    if job.restart_job_on_worker_restart and job.disable_retries:
        yield (
            f"{job.cite('restart_job_on_worker_restart')} has no effect while "
            f"{job.cite('disable_retries')} is on. Turn one of them off."
        )
