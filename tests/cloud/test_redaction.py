"""Which texts are secrets, and which are not."""

import traceback

import pytest

from zenml_vertex.cloud.redaction import iter_chain, presentable, redact

PEM = "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("token ya29.a0-hunter2_x.y~z+/= end", "token *** end"),
        ("Authorization: Bearer hunter2, and more", "Authorization: Bearer *** and more"),
        ("refresh 1//0ghunter2-hunter2-hunter2", "refresh ***"),
        ("eyJhbGciOi.eyJodW50ZXIy.hunter2 end", "*** end"),
        (f"key {PEM} end", "key *** end"),
        ("key -----BEGIN PRIVATE KEY-----\nhunter2 cut off", "key ***"),
        ("at mysql://admin:hunter2@db:3306/zenml", "at mysql://***@db:3306/zenml"),
    ],
)
def test_a_secret_is_not_shown(text: str, shown: str) -> None:
    """Access tokens, refresh tokens, JWTs and keys are removed, even if they are cut off."""
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "",
        "projects/my-project/locations/us-central1/customJobs/1234567890",
        "https://us-central1-aiplatform.googleapis.com//x",
        "a@my-project.iam.gserviceaccount.com",
    ],
)
def test_other_text_is_kept(text: str) -> None:
    """Text without a secret, such as a job's name, is kept."""
    assert redact(text) == text


def test_a_secret_deep_in_the_chain_is_found() -> None:
    """A secret in any link of an exception's chain hides the chain from the traceback."""
    caught = KeyError("harmless")
    caught.__cause__ = ValueError("Bearer hunter2")
    assert "hunter2" in "".join(traceback.format_exception(caught))
    assert presentable(caught) is None
    assert presentable(KeyError("harmless")) is not None


def test_a_circular_chain_ends() -> None:
    """The search ends for an exception chain that is a circle."""
    first, second = ValueError("1"), ValueError("2")
    first.__cause__, second.__cause__ = second, first
    assert list(iter_chain(first)) == [first, second]
