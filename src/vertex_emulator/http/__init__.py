"""HTTP: the server, and what routes, requests and replies are."""
