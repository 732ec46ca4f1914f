"""ZenML's built-in operator on the local stack: the baseline of every comparison."""

from pathlib import Path

from zenml_vertex.local_stack.demo.demo import run_demo


def test_the_built_in_operator_runs_unmodified(tmp_path: Path) -> None:
    """With only its environment changed, ZenML's built-in operator submits a job that runs."""
    lines: list[str] = []
    facts = run_demo(tmp_path / "stack", lines.append, operator="builtin")
    assert facts.history[-1].state == "SUCCEEDED"
    said = "\n".join(lines)
    assert "zenml.integrations.gcp.flavors" in said
    assert "to Vertex AI Training." in said
    assert "Vertex AI: acting as" not in said
