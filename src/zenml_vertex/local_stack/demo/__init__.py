"""The demo: the digits pipeline, with its training step on Vertex AI."""
