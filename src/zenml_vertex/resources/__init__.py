"""Persistent resources: machines that stay, on which jobs start at once."""
