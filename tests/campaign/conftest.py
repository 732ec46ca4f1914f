"""A world in which this process runs trials."""

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from campaign.campaign import Runner


@pytest.fixture(scope="module")
def run() -> Iterator["Runner"]:
    """Run a trial with this package's operator."""
    from campaign.campaign import open_runner
    from campaign.operators import PluginSubject

    logging.disable(logging.CRITICAL)
    try:
        with open_runner(PluginSubject()) as run_trial:
            yield run_trial
    finally:
        logging.disable(logging.NOTSET)
