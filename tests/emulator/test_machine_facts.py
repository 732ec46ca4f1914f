"""What Google documents of machines: the two packages share data and no code."""

from importlib.resources import files


def test_both_packages_have_the_same_facts() -> None:
    """The emulator's copy is the operator's file to the letter; `make generate` copies it."""
    operator, emulator = (
        files(f"{package}.data").joinpath("machine_accelerators.yaml").read_text("utf-8")
        for package in ("zenml_vertex", "vertex_emulator")
    )
    assert emulator == operator
