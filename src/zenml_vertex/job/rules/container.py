"""Rules on the environment of the container."""

from collections.abc import Iterator

from zenml_vertex.job.environment import find_too_much, find_wrong_names
from zenml_vertex.job.fields import JobFields


def find_wrong_values(job: JobFields) -> Iterator[str]:
    """Variables whose names Vertex AI does not accept, and too many or too long ones."""
    yield from find_wrong_names(job.env or ())
    yield from find_too_much(job.env or {})
