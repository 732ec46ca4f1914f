"""Cloud Logging: what jobs write, and how it is read."""
