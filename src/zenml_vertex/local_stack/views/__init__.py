"""Reads what pipelines, the ZenML server and Vertex AI report."""
