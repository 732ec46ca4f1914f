"""What a process gets of its image, where somebody has unpacked it."""

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from vertex_emulator.runtimes.contract import Container, Exit
from vertex_emulator.runtimes.process import ProcessRuntime
from zenml_vertex.cli import main

JOB_ID = "4343434343434343434"
DIGEST = "0123456789abcdef" * 4
IMAGE = f"registry.example/team/image@sha256:{DIGEST}"

Run = Callable[..., tuple[Exit, list[str]]]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with one image: five variables, a module, a link and a program."""
    image = tmp_path / "images" / f"sha256-{DIGEST}"
    (image / "app" / "lib").mkdir(parents=True)
    variables = [
        "BAKED=a=b",
        "BOTH=image",
        "PATH=/opt/tool/bin:/usr/bin:/bin",
        "PYTHONPATH=/elsewhere:/app/lib",
        "STORAGE_EMULATOR_HOST=http://image",
    ]
    (image / "config.json").write_text(json.dumps({"config": {"Env": variables}}), "utf-8")
    (image / "app" / "lib" / "trainer.py").write_text("NAME = 'trainer'\n", "utf-8")
    (image / "app" / "link").symlink_to("lib/trainer.py")
    program = image / "app" / "run.sh"
    program.write_text("#!/bin/sh\necho it runs\n", "utf-8")
    program.chmod(0o755)
    image.chmod(0o700)
    return tmp_path / "images"


@pytest.fixture
def run(tmp_path: Path, images: Path) -> Run:
    """Run a command to its end and return its exit and its lines on stdout."""

    def run(
        *command: str,
        image_uri: str = IMAGE,
        environ: Mapping[str, str] | None = None,
        **environment: str,
    ) -> tuple[Exit, list[str]]:
        folder = tmp_path / f"start-{len(list(tmp_path.iterdir()))}"
        folder.mkdir()
        lines: list[tuple[str, str]] = []
        runtime = ProcessRuntime(environ or {}, are_tethered=True, image_dir=images)
        container = Container(
            job_id=JOB_ID,
            attempt=1,
            image_uri=image_uri,
            command=command,
            environment={"CLOUD_ML_JOB_ID": JOB_ID, **environment},
            folder=folder,
            metadata_host="127.0.0.1:1",
        )
        end = runtime.start(container, lambda stream, line: lines.append((stream, line))).wait()
        return end, [line for stream, line in lines if stream == "stdout"]

    return run


def test_variables_of_the_image_rank_lowest(run: Run, tmp_path: Path) -> None:
    """A job's own variable, and an address that processes need, override those of the image.

    This Python stays the first on PATH, and `/app` is the folder that is in its place.
    """
    environ = {"STORAGE_EMULATOR_HOST": "http://127.0.0.1:9"}
    end, lines = run("env", environ=environ, BOTH="job", DATA="/app/data:/data")
    assert end == Exit(0)
    seen = dict(line.split("=", 1) for line in lines)
    app = Path(seen["DATA"].partition("/data")[0])
    assert app.parent.parent == tmp_path
    assert seen["DATA"] == f"{app}/data:/data"
    assert seen["PYTHONPATH"] == f"/elsewhere:{app}/lib"
    assert seen["PATH"] == f"{Path(sys.executable).parent}:/opt/tool/bin:/usr/bin:/bin"
    assert (seen["BAKED"], seen["BOTH"]) == ("a=b", "job")
    assert seen["STORAGE_EMULATOR_HOST"] == "http://127.0.0.1:9"


def test_files_of_the_image_are_in_the_working_folder(run: Run, images: Path) -> None:
    """A program finds `/app` of its image, by that path and by a search path in it.

    It has a copy: what it writes there, the next start of the image does not see.
    """
    code = (
        "import os, subprocess, trainer\n"
        "print(trainer.NAME, open('/app/link').read().strip(), os.path.islink('/app/link'))\n"
        "print(subprocess.check_output(['./run.sh'], text=True).strip())\n"
        "open('/app/lib/trainer.py', 'w').write('NAME = None')\n"
    )
    for _ in range(2):
        end, lines = run("python", "-c", code)
        assert (end, lines) == (Exit(0), ["trainer NAME = 'trainer' True", "it runs"])
    assert (images / f"sha256-{DIGEST}" / "app" / "lib" / "trainer.py").read_text() != "NAME = None"


@pytest.mark.parametrize("uri", ["registry.example/image:1", f"i@sha256:{'f' * 64}", "i"])
def test_another_image_gives_nothing(run: Run, uri: str) -> None:
    """A process of an image that is not there runs with an empty working folder."""
    end, lines = run("sh", "-c", "ls; echo ${BAKED:-none}", image_uri=uri)
    assert (end, lines) == (Exit(0), ["none"])


def _let_others_write(image: Path) -> None:
    image.chmod(0o777)


def _break_json(image: Path) -> None:
    (image / "config.json").write_text("{", "utf-8")


def _leave_out_the_configuration(image: Path) -> None:
    (image / "config.json").write_text('{"Env": []}', "utf-8")


def _remove_app(image: Path) -> None:
    (image / "app").rename(image / "other")


@pytest.mark.parametrize(
    "spoil", [_let_others_write, _break_json, _leave_out_the_configuration, _remove_app]
)
def test_an_image_that_cannot_be_used_is_a_start_error(
    run: Run, images: Path, spoil: Callable[[Path], None]
) -> None:
    """An image that is damaged, or that another user could have put there, is not run."""
    spoil(images / f"sha256-{DIGEST}")
    end, lines = run("echo", "it runs")
    assert (end.status, lines) == (128, [])
    assert "the image cannot be read: " in str(end.start_error)
    assert "BAKED" not in str(end.start_error)


def test_the_docker_runtime_takes_no_folder_of_images(tmp_path: Path) -> None:
    """With Docker, the option would have no effect."""
    done = CliRunner().invoke(main, ["emulator", "--runtime=docker", f"--image-dir={tmp_path}"])
    assert done.exit_code == 2
    assert "--image-dir needs --runtime process." in done.output
    assert not list(tmp_path.iterdir())
