"""What runs in a step's container: ZenML's entrypoint, once.

Vertex AI starts a container again by itself, after a stockout, a preemption, an
internal error and some exit statuses
(https://cloud.google.com/vertex-ai/docs/training/understanding-training-service).
No module of Google is imported here.
"""
