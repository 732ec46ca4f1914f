"""Rules on the region."""

import re
from collections.abc import Iterator

from zenml_vertex.job.fields import JobFields
from zenml_vertex.job.machines import Catalogue, load_catalogue, nearest

_REGION = re.compile(r"[a-z]+(?:-[a-z]+)+\d+")
_ZONE = re.compile(r"([a-z]+(?:-[a-z]+)+\d+)-[a-z]")
# What people call a continent, where regions do not begin with it.
_CONTINENTS = {
    "eu": "europe",
    "usa": "us",
    "america": "us",
    "north-america": "northamerica",
    "south-america": "southamerica",
    "middle-east": "me",
}


def find_wrong_values(job: JobFields) -> Iterator[str]:
    """A zone, a misspelt region, and one without custom training."""
    region = job.region
    if not region or job.api_endpoint:
        return  # an endpoint of one's own may serve any location
    if zone := _ZONE.fullmatch(region):
        cure = "the region that it is in" if job.is_secret("region") else f"region={zone[1]}"
        yield f"{job.state('region')}, which is a zone. Write {cure}."
    elif not _REGION.fullmatch(region):
        yield (
            f"{job.state('region')}, which is not a Google Cloud region. "
            f"{_suggest_region(region.lower().strip())}"
        )
    elif not _is_plausible(region, load_catalogue()):
        close = nearest(region, load_catalogue().regions)
        where = "REGION" if job.is_secret("region") else region
        yield (
            f"{job.state('region')}, where custom training is not available"
            + (f". Did you mean `{close}`? " if close else ". ")
            + "If Google has opened it since, set api_endpoint="
            f"https://{where}-aiplatform.googleapis.com as well."
        )


def find_conflicts(job: JobFields) -> Iterator[str]:
    """A job without a region."""
    if not job.region and "region" not in job.unreadable:
        yield "`region` is not set. Write, for example, region=europe-west4."


def advise(job: JobFields) -> Iterator[str]:
    """An unknown region, which may be new."""
    region = job.region
    if region and not job.api_endpoint and region not in load_catalogue().regions:
        yield f"{job.state('region')}, which is not in this version's list of training regions."


def _suggest_region(written: str) -> str:
    """The regions of a continent (`EU`, `europe`, `us`), else the one that is spelt most alike."""
    regions = load_catalogue().regions
    continent = _CONTINENTS.get(written, written)
    if there := sorted(region for region in regions if region.startswith(f"{continent}-")):
        return f"Write one of its regions: {', '.join(there)}."
    return f"Write region={nearest(written, regions) or 'us-central1'}."


def _is_plausible(region: str, catalogue: Catalogue) -> bool:
    """Whether it is known, or a new number of a known place, such as `us-east9`."""
    place = region.rstrip("0123456789")
    return region in catalogue.regions or any(
        known.rstrip("0123456789") == place for known in catalogue.regions
    )
