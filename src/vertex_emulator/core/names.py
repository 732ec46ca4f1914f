"""Resource names: projects, regions, jobs and operations. Pure."""

import re
from dataclasses import dataclass
from hashlib import sha256

from vertex_emulator.core.errors import ApiError, invalid_argument
from vertex_emulator.core.machine_facts import training_regions

# Looser than Google's rule (6 to 30 characters), so that short made-up IDs do.
_PROJECT = re.compile(r"[a-z0-9][a-z0-9.:-]{0,62}")
_NUMERIC_ID = re.compile(r"[1-9][0-9]{0,18}")
_FIRST_NUMBER = 100_000_000_000
_NUMBERS = 900_000_000_000


@dataclass(frozen=True, slots=True)
class Parent:
    """A project and region.

    Args:
        project: ID or number, as the caller wrote it.
        number: Number of the project.
        location: Region.
    """

    project: str
    number: str
    location: str

    def __str__(self) -> str:
        return f"projects/{self.number}/locations/{self.location}"


def project_number(project: str) -> str:
    """The number of a project: itself for a number, else made up, and always the same."""
    if project.isascii() and project.isdigit():
        return project
    digest = int.from_bytes(sha256(project.encode()).digest()[:8], "big")
    return str(_FIRST_NUMBER + digest % _NUMBERS)


def parse_project(project: str) -> str:
    """The number of a project that a request names.

    Raises:
        ApiError: PERMISSION_DENIED with CONSUMER_INVALID for what is not a project ID,
            as the service answers a display name.
    """
    if not _PROJECT.fullmatch(project):
        raise ApiError(
            "PERMISSION_DENIED",
            f"Permission denied on resource project {project}.",
            reason="CONSUMER_INVALID",
        )
    return project_number(project)


def parse_parent(project: str, location: str) -> Parent:
    """The project and region of a request.

    Raises:
        ApiError: For what is not a project, or a region without custom training. What
            Google answers to the latter is not documented; this text is made up.
    """
    number = parse_project(project)
    if location not in training_regions():
        raise invalid_argument(f"Location `{location}` does not support custom training.")
    return Parent(project, number, location)


def parse_id(text: str, kind: str) -> str:
    """The numeric ID of a job or an operation.

    Raises:
        ApiError: NOT_FOUND for what cannot be an ID.
    """
    if not _NUMERIC_ID.fullmatch(text):
        raise ApiError("NOT_FOUND", f"The {kind} does not exist.")
    return text
