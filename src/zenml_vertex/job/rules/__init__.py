"""What Vertex AI would refuse, found in advance and all at once: a module for each subject.

Each subject has up to three kinds of rules, as functions that yield sentences:

- `find_wrong_values`: values that are wrong whatever the other fields are. Checked as soon
  as settings are written.
- `find_conflicts`: values that do not go together. Checked before an image is built, when
  the step, its component and its resources have each had their say.
- `advise`: values that Google may add any day (machines, accelerators, disks, regions), and
  that are never more than a warning.

Limits are those of the CustomJob reference
(https://cloud.google.com/vertex-ai/docs/reference/rest/v1/projects.locations.customJobs).
"""

from zenml_vertex.errors import ConfigurationError
from zenml_vertex.job.fields import ROWS, JobFields
from zenml_vertex.job.machines import load_catalogue
from zenml_vertex.job.readers import ENUM_READERS
from zenml_vertex.job.rules import (
    container,
    identity,
    machines,
    network,
    region,
    scheduling,
    storage,
    tpus,
)

__all__ = ["advise", "check_values", "find_problems", "find_unlisted_enums"]

_WRONG_VALUES = (
    region.find_wrong_values,
    machines.find_wrong_values,
    tpus.find_wrong_values,
    scheduling.find_wrong_values,
    storage.find_wrong_values,
    network.find_wrong_values,
    identity.find_wrong_values,
    container.find_wrong_values,
)
_CONFLICTS = (
    region.find_conflicts,
    machines.find_conflicts,
    tpus.find_conflicts,
    scheduling.find_conflicts,
    storage.find_conflicts,
    network.find_conflicts,
    identity.find_conflicts,
)
_ADVICE = (region.advise, storage.advise, machines.advise, tpus.advise, scheduling.advise)


def check_values(job: JobFields) -> None:
    """Refuse values that cannot be read, or are wrong whatever the other fields are.

    Raises:
        ConfigurationError: Naming every such value and what to write instead.
    """
    found = (text for rule in _WRONG_VALUES for text in rule(job))
    if problems := [*job.unreadable.values(), *found]:
        raise ConfigurationError(problems)


def find_problems(job: JobFields) -> list[str]:
    """What keeps a job from working, one sentence or two for each problem and its cure."""
    found = (text for rule in (*_WRONG_VALUES, *_CONFLICTS) for text in rule(job))
    return [*job.unreadable.values(), *found]


def advise(job: JobFields) -> list[str]:
    """What Vertex AI will probably refuse, as far as the catalogue knows; one sentence each."""
    return [text for rule in _ADVICE for text in rule(job)]


def find_unlisted_enums(job: JobFields) -> list[str]:
    """The fields whose values only Google's client can tell whether they exist."""
    listed = load_catalogue().accelerators
    return [
        name
        for name, row in ROWS.items()
        if row.read in ENUM_READERS and (value := getattr(job, name)) and value not in listed
    ]
