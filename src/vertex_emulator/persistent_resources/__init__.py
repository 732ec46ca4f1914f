"""Persistent resources: machines that stay, and jobs that run on them at once."""
