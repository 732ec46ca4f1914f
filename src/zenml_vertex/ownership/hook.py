"""The init hook by its former name, which is in the entry point of an older editable install."""

from zenml_vertex_init_hook import install

__all__ = ["install"]
