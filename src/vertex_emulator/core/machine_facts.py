"""What Google documents of machines, accelerators and regions."""

from functools import lru_cache
from importlib.resources import files
from typing import Any

import yaml


@lru_cache(maxsize=1)
def load_facts() -> dict[str, Any]:
    """The data file; its head explains the fields."""
    text = files("vertex_emulator.data").joinpath("machine_accelerators.yaml").read_text("utf-8")
    # The C loader is ten times faster, and not in every build of PyYAML.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    facts: dict[str, Any] = yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader, both
    return facts


@lru_cache(maxsize=1)
def training_regions() -> frozenset[str]:
    """The regions that have custom training."""
    return frozenset(load_facts()["training_regions"])
