"""A Docker engine, a registry and a base image, on a machine that has none of them.

The tests of real containers need them, and `make demo-docker`, where no engine
answers and no image can be pulled.
"""
