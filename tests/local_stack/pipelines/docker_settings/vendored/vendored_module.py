"""A package that only a search path leads to."""

NAME = "vendored"
