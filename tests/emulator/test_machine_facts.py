"""Google's documented facts about machines: the two packages share data and no code."""

from importlib.resources import files


def test_both_packages_have_the_same_facts() -> None:
    """The emulator's file is a copy of the operator's; `make generate` writes it."""
    operator, emulator = (
        files(f"{package}.data").joinpath("machine_accelerators.yaml").read_text("utf-8")
        for package in ("zenml_vertex", "vertex_emulator")
    )
    assert emulator == operator
