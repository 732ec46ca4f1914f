"""The parent of step images that is made on this machine."""

from pathlib import Path

import pytest

from tests.support.containers.base_image import find_index, make_base_image
from zenml_vertex.local_stack.processes.servers import ToolsMissingError


@pytest.mark.parametrize("variable", ["PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"])
@pytest.mark.parametrize(
    "url",
    [
        "https://me:hunter2@pypi.example.com/simple",
        "https://hunter2@pypi.example.com/simple",
        "company=https://me:hunter2@pypi.example.com/simple",
        "//me:hunter2@pypi.example.com/simple",
        "https://pypi.example.com/simple?token=hunter2",
    ],
)
def test_no_password_of_an_index_gets_into_an_image(
    variable: str, url: str, tmp_path: Path
) -> None:
    """An index with credentials is refused before anything is built, without telling them.

    Who could pull or inspect an image read the password of the index in its `ENV`, and so did
    each program that ran in it.
    """
    with pytest.raises(ToolsMissingError) as raised:
        make_base_image("unix:///nowhere/docker.sock", tmp_path, {variable: url})
    assert variable in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_other_indexes_are_handed_on() -> None:
    """An index that asks for nothing stays in the image, for what is built on it."""
    index = {"PIP_INDEX_URL": "https://pypi.example.com/simple"}
    assert find_index({**index, "PIP_EXTRA_INDEX_URL": "https://me:hunter2@x.example"}) == index
