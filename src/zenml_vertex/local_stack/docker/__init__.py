"""A Docker engine, a registry and a base image of its own."""
