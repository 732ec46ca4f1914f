"""The page on what protects what says of ZenML's tokens what ZenML says."""

import re

from zenml import constants

from tests.support.pages import DOCS

PAGE = DOCS / "explanation" / "what-protects-what.md"


def test_the_token_is_good_as_long_as_the_page_says() -> None:
    """The variables are ZenML's own, and without them a run's token is good for one hour more."""
    page = " ".join(PAGE.read_text("utf-8").split())
    assert constants.DEFAULT_ZENML_SERVER_GENERIC_API_TOKEN_LIFETIME == 60 * 60
    assert "for one hour after the run has ended" in page
    assert set(re.findall(r"`(ZENML_\w+)`", page)) == {
        constants.ENV_ZENML_WORKLOAD_TOKEN_EXPIRATION_LEEWAY,
        constants.ENV_ZENML_PIPELINE_RUN_API_TOKEN_EXPIRATION,
    }
    assert constants.ZENML_PIPELINE_RUN_API_TOKEN_EXPIRATION == 0
