"""Rules on the identity that the job runs as."""

import re
from collections.abc import Iterator

from zenml_vertex.job.fields import JobFields

_SERVICE_ACCOUNT = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def find_wrong_values(job: JobFields) -> Iterator[str]:
    """A service account that is not an e-mail address."""
    if job.service_account and not _SERVICE_ACCOUNT.fullmatch(job.service_account):
        yield (
            f"{job.state('service_account')}. Write its e-mail address; "
            "`gcloud iam service-accounts list` shows it."
        )
