"""ZenML's side: what ZenML calls, and what ZenML knows of a step run."""
