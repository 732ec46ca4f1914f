"""What type checkers make of the public names; checked by `make types`, never run."""
