"""Rules on the job's name and labels, and on the identity that it runs as."""

import re
from collections.abc import Iterator

from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.identity import (
    MAX_DISPLAY_NAME,
    MAX_LABEL,
    MAX_LABEL_BYTES,
    MAX_LABELS,
    OWN_LABELS,
)
from zenml_vertex.job.readers import show_value

_SERVICE_ACCOUNT = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")

_TENSORBOARD = re.compile(r"projects/[^/\s]+/locations/[^/\s]+/tensorboards/[^/\s]+")

# Of the labels that a job can have, those that are its own.
_MAX_LABELS = MAX_LABELS - len(OWN_LABELS)


def find_wrong_values(job: JobFields) -> Iterator[str]:
    """A name that is too long, labels of other characters, an account without its address."""
    if job.display_name and len(job.display_name) > MAX_DISPLAY_NAME:
        yield (
            f"{job.cite('display_name')} has {len(job.display_name)} characters; Vertex AI accepts "
            f"{MAX_DISPLAY_NAME}. Shorten it."
        )
    for key, value in (job.labels or {}).items():
        if not _is_label(key) or not key[:1].isalnum():
            yield (
                f"{job.cite('labels')} has {'the key ' if key else 'a key that is '}"
                f"{show_value(key)}. A key has 1 to {MAX_LABEL} "
                "lower-case letters, digits, hyphens and underscores, and starts with a letter or "
                "a digit."
            )
        if not _is_label(value):
            yield (
                f"{job.cite('labels')} has {show_value(value)} for {show_value(key)}. A value has "
                f"at most {MAX_LABEL} lower-case letters, digits, hyphens and underscores."
            )
    if len(job.labels or ()) > _MAX_LABELS:
        yield (
            f"{job.cite('labels')} has {len(job.labels or ())} labels; Vertex AI accepts "
            f"{MAX_LABELS}, and the job's own are {MAX_LABELS - _MAX_LABELS} of them. Remove some."
        )
    if job.service_account and not _SERVICE_ACCOUNT.fullmatch(job.service_account):
        yield (
            f"{job.state('service_account')}. Write its e-mail address; "
            "`gcloud iam service-accounts list` shows it."
        )
    if job.tensorboard and not _TENSORBOARD.fullmatch(job.tensorboard):
        yield (
            f"{job.state('tensorboard')}. Write its full name, "
            "`projects/P/locations/REGION/tensorboards/ID`."
        )


def find_conflicts(job: JobFields) -> Iterator[str]:
    """A Tensorboard without an identity that can write to it."""
    account_is_open = job.service_account or "service_account" in job.unreadable
    if job.tensorboard and not account_is_open:
        # https://cloud.google.com/vertex-ai/docs/experiments/tensorboard-training
        yield (
            f"{job.cite('tensorboard')} is set, and `service_account` is not: Vertex AI writes to "
            "a Tensorboard as an account of yours. Set `service_account`; `gcloud iam "
            "service-accounts list` shows them."
        )


def _is_label(text: str) -> bool:
    """Whether a key or a value has what labels can have; letters of any alphabet are letters."""
    return (
        len(text) <= MAX_LABEL
        and len(text.encode("utf-8", "replace")) <= MAX_LABEL_BYTES
        and text == text.lower()
        and all(character.isalnum() or character in "_-" for character in text)
    )
