"""Who owns the flavor name `vertex`: this environment's hook, and the server's record."""
