"""What a job takes from an image that is not built."""

import json
from pathlib import Path

import pytest
from zenml.config import DockerSettings
from zenml.utils.pipeline_docker_image_builder import PipelineDockerImageBuilder

from zenml_vertex.local_stack.image_contents import leave_contents, read_environment


def read_variables(settings: DockerSettings) -> dict[str, str]:
    """The variables of an image with these settings, from the Dockerfile that ZenML writes."""
    return read_environment(
        PipelineDockerImageBuilder._generate_zenml_pipeline_dockerfile("an/image", settings)
    )


def test_variables_are_those_of_the_dockerfile() -> None:
    """Names are in capitals, and a runtime variable overrides one of the build."""
    settings = DockerSettings(
        environment={"both": "build", "URL": "http://h/?a=b#c $HOME \\n", "EMPTY": "", "n": 3}
        | {"QUOTED": "a 'b' c"},
        runtime_environment={"BOTH": "run", "OMP_NUM_THREADS": 1, "LINES": 'a\u2028b "c"'},
        apt_packages=["git"],
        user="trainer",
    )
    assert read_variables(settings) == {
        "BOTH": "run",
        "EMPTY": "",
        "LINES": 'a\u2028b "c"',
        "N": "3",
        "OMP_NUM_THREADS": "1",
        # As Docker reads quotes between quotes.
        "QUOTED": "a b c",
        "URL": "http://h/?a=b#c $HOME \\n",
        "ZENML_CONFIG_PATH": "/app/.zenconfig",
        "ZENML_ENABLE_REPO_INIT_WARNINGS": "False",
    }


@pytest.mark.parametrize("value", ["it's secret", "two\nlines of a secret", "'a secret'"])
def test_a_variable_that_docker_cannot_read_is_an_error(value: str) -> None:
    """A value that breaks the Dockerfile breaks here too, by the variable's name alone."""
    with pytest.raises(ValueError, match=r"the variable TOKEN of DockerSettings") as raised:
        read_variables(DockerSettings(environment={"token": value}))
    assert "secret" not in str(raised.value)


def test_files_folders_and_links_are_left(tmp_path: Path) -> None:
    """Everything is under the digest, for its owner only, and programs can be run."""
    images, code = tmp_path / "images", tmp_path / "code"
    (code / "empty").mkdir(parents=True)
    images.mkdir()
    (code / "run.sh").write_text("exit 3\n")
    (code / "run.sh").chmod(0o755)
    (code / "link").symlink_to("nowhere")
    names = ["deep/er/run.sh", "empty", "link"]
    files = {name: str(code / Path(name).name) for name in names}
    digest = leave_contents(images, {"A": "1", "B": "x=y"}, files)
    (image,) = images.iterdir()
    assert image.name == f"sha256-{digest}"
    assert image.stat().st_mode & 0o777 == 0o700
    assert json.loads((image / "config.json").read_text()) == {"config": {"Env": ["A=1", "B=x=y"]}}
    assert (image / "app" / "deep" / "er" / "run.sh").stat().st_mode & 0o100
    assert (image / "app" / "empty").is_dir()
    assert (image / "app" / "link").readlink() == Path("nowhere")
    assert leave_contents(images, {}, {}) != digest


def test_nothing_is_left_of_an_image_that_fails(tmp_path: Path) -> None:
    """A file that has gone meanwhile leaves no half of an image."""
    with pytest.raises(FileNotFoundError):
        leave_contents(tmp_path, {}, {"gone.py": str(tmp_path / "gone.py")})
    assert list(tmp_path.iterdir()) == []
