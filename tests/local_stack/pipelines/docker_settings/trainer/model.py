"""The name of a model."""

NAME = "model"
