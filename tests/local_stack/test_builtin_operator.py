"""ZenML's built-in operator on the local stack: the baseline of every comparison."""

from pathlib import Path
from textwrap import dedent

from zenml_vertex.local_stack.demo.demo import run_demo
from zenml_vertex.local_stack.start import start_local_stack

_ONE_STEP = """
    import os
    from zenml import pipeline, step

    @step(step_operator="vertex", enable_cache=False)
    def train() -> str:
        print("in job", os.environ["CLOUD_ML_JOB_ID"])
        return "trained"

    @pipeline
    def one_step():
        train()

    if __name__ == "__main__":
        one_step()
"""


def test_the_built_in_operator_runs_unmodified(tmp_path: Path) -> None:
    """With only its environment changed, ZenML's built-in operator submits a job that runs."""
    lines: list[str] = []
    facts = run_demo(tmp_path / "stack", lines.append, operator="builtin")
    assert facts.history[-1].state == "SUCCEEDED"
    said = "\n".join(lines)
    assert "zenml.integrations.gcp.flavors" in said
    assert "to Vertex AI Training." in said
    assert "Vertex AI: acting as" not in said


def test_the_built_in_operator_runs_without_any_switch(tmp_path: Path) -> None:
    """Under Google's own names, ZenML's operator finds the emulator by itself, over gRPC."""
    with start_local_stack(tmp_path / "stack", operator="builtin", as_google=True) as stack:
        assert not {"AIPLATFORM_EMULATOR_HOST", "PYTHONPATH"} & set(stack.environment)
        script = stack.make_project("one-step") / "pipeline.py"
        script.write_text(dedent(_ONE_STEP), "utf-8")
        with stack.start_pipeline(script) as process:
            completed = process.wait(120)
        assert completed.returncode == 0, completed.output
        (job,) = stack.jobs.fetch_all()
    assert job["state"] == "JOB_STATE_SUCCEEDED"
    assert "zenml.integrations.gcp" in stack.flavor_source


def test_this_operator_runs_under_googles_names(tmp_path: Path) -> None:
    """With `--as-google`, this package's operator finds Vertex AI where Google has it."""
    with start_local_stack(tmp_path / "stack", as_google=True) as stack:
        script = stack.make_project("one-step") / "pipeline.py"
        script.write_text(dedent(_ONE_STEP), "utf-8")
        with stack.start_pipeline(script) as process:
            completed = process.wait(120)
        assert completed.returncode == 0, completed.output
    assert "emulator@demo-project.iam.gserviceaccount.com" in completed.output
