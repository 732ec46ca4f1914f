"""The processes of a local stack: how they start, and how they end."""
