"""Programs that a local stack starts."""
