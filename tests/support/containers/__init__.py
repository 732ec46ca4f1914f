"""A Docker engine, a registry and a base image, for machines that have none of them.

They are used by the tests with real containers, and by `make demo-docker` where no engine answers
and no image can be pulled.
"""
