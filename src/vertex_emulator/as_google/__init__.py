"""Google's own host names on loopback, for clients that cannot be pointed elsewhere."""
