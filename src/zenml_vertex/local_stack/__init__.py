"""A whole ZenML stack on loopback, for the demo, the tests and the benchmarks.

Nothing of the user's is read or changed: ZenML's and gcloud's configuration, the
home folder and the ports all belong to the stack, and are gone with it.
"""
