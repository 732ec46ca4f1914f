"""Every example runs and sends the request that it describes."""

import re
import runpy
from textwrap import indent
from typing import Any

import pytest

import vertex_emulator.faults
from tests.support.pages import ROOT, generalise, read_blocks, read_picture
from tests.support.pipelines import RunPipeline
from zenml_vertex.local_stack.stack import LocalStack

EXAMPLES = ROOT / "examples"
DEFAULT_DISK = {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100}


def _fetch_spec(local_stack: LocalStack, job_name: str | None) -> dict[str, Any]:
    assert job_name is not None
    job = local_stack.jobs.fetch(job_name)
    spec: dict[str, Any] = job["jobSpec"]
    return spec


def _machine_and_disk(spec: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    (pool,) = spec["workerPoolSpecs"]
    return pool["machineSpec"], pool["diskSpec"]


def test_every_example_is_tested() -> None:
    """Each example has a test here, or in test_tested.py."""
    names = {
        str(file.relative_to(EXAMPLES))
        for file in EXAMPLES.rglob("*.py")
        if "__pycache__" not in file.parts
    }
    assert names == {
        "command_step.py",
        "dynamic_pipeline.py",
        "failing_step.py",
        "gpu_step.py",
        "inject_faults.py",
        "minimal_step.py",
        "tested/pipeline.py",
        "tested/submit.py",
        "tested/test_pipeline.py",
        "tested/test_submit.py",
        "yaml_settings/run.py",
    }


def test_minimal_step(local_stack: LocalStack, run_pipeline: RunPipeline) -> None:
    """One step of three is a job, on the documented default machine and disk."""
    completed = run_pipeline(EXAMPLES / "minimal_step.py")
    assert completed.run.status == "completed", completed.output
    assert "The model says 2.5." in completed.output
    assert [step.name for step in completed.run.steps if step.job_name] == ["train"]
    spec = _fetch_spec(local_stack, completed.run.step("train").job_name)
    assert _machine_and_disk(spec) == ({"machineType": "n1-standard-4"}, DEFAULT_DISK)
    assert "serviceAccount" not in spec


def test_gpu_step(local_stack: LocalStack, run_pipeline: RunPipeline) -> None:
    """The built-in settings class and its page's alias of the disk type reach the job."""
    completed = run_pipeline(EXAMPLES / "gpu_step.py")
    assert completed.run.status == "completed", completed.output
    spec = _fetch_spec(local_stack, completed.run.step("train").job_name)
    assert _machine_and_disk(spec) == (
        {
            "machineType": "n1-standard-8",
            "acceleratorType": "NVIDIA_TESLA_T4",
            "acceleratorCount": 1,
        },
        {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 200},
    )


def test_yaml_settings(local_stack: LocalStack, run_pipeline: RunPipeline) -> None:
    """The YAML file alone decides where and how the step runs."""
    completed = run_pipeline(EXAMPLES / "yaml_settings" / "run.py")
    assert completed.run.status == "completed", completed.output
    spec = _fetch_spec(local_stack, completed.run.step("train").job_name)
    assert _machine_and_disk(spec) == (
        {"machineType": "n1-highmem-8"},
        {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 200},
    )
    assert spec["serviceAccount"] == "trainer@my-project.iam.gserviceaccount.com"


def test_dynamic_pipeline(local_stack: LocalStack, run_pipeline: RunPipeline) -> None:
    """Two jobs of one step run at the same time, and their results are returned."""
    completed = run_pipeline(EXAMPLES / "dynamic_pipeline.py")
    assert completed.run.status == "completed", completed.output
    assert "The best loss is 0.5." in completed.output
    names = [step.job_name for step in completed.run.steps if step.job_name]
    assert len(set(names)) == 2
    first, second = (local_stack.jobs.fetch_history(name) for name in names)
    assert first[0].time < second[-1].time
    assert second[0].time < first[-1].time


def test_command_step(local_stack: LocalStack, run_pipeline: RunPipeline) -> None:
    """The command runs as it is written, and its job's success is the step's."""
    completed = run_pipeline(EXAMPLES / "command_step.py")
    assert completed.run.status == "completed", completed.output
    job_name = completed.run.step("train").job_name
    (pool,) = _fetch_spec(local_stack, job_name)["workerPoolSpecs"]
    assert pool["containerSpec"]["command"] == [
        "python",
        "-c",
        "print('trained without ZenML')",
    ]
    assert job_name is not None
    lines = local_stack.jobs.fetch_lines(job_name, "workerpool0-0")
    assert "trained without ZenML" in lines


def test_inject_faults(capsys: pytest.CaptureFixture[str]) -> None:
    """The example prints what the page about faults shows, and the page shows its code."""
    page = ROOT / "docs" / "how-to" / "inject-faults.md"
    example = EXAMPLES / "inject_faults.py"
    runpy.run_path(str(example), run_name="__main__")
    (code, outages), (output,) = read_blocks(page, "python"), read_blocks(page, "")
    assert capsys.readouterr().out == output
    assert indent(code, "    ") in example.read_text("utf-8")
    for line in outages.splitlines():
        assert eval(line, vars(vertex_emulator.faults))


def test_failing_step(run_pipeline: RunPipeline) -> None:
    """Terminal and step run show what the README shows, line by line."""
    completed = run_pipeline(EXAMPLES / "failing_step.py")
    assert completed.run.status == "failed", completed.output
    (shown,) = (
        block for block in read_blocks(ROOT / "README.md", "") if "ran out of memory" in block
    )
    printed = generalise(completed.output)
    first, *rest = generalise(shown)
    start = printed.index(f"Failed to run step `train`: {first}") + 1
    assert printed[start : start + len(rest)] == rest
    assert generalise(str(completed.run.step("train").error)) == generalise(shown)
    _check_picture(printed)


def _check_picture(printed: list[str]) -> None:
    """Check that what the picture shows of the step is printed, in this order.

    Which states a poll meets on the way, and how long each lasted, is the machine's affair.
    """
    picture = read_picture(ROOT / "docs" / "assets" / "failing-step.svg")
    start = picture.index("Step `train` has started.")
    end = next(n for n, line in enumerate(picture) if line.startswith("Job:"))
    remaining = iter(printed)
    for line in generalise("\n".join(picture[start : end + 1])):
        if not re.search(r"\b(QUEUED|PENDING|RUNNING)\b", line):
            beginning = re.sub(r"(?<=\bFAILED\b).*|…$", "", line)
            assert any(other.startswith(beginning) for other in remaining), (
                f"{line} is not printed any more, or elsewhere: make picture"
            )
