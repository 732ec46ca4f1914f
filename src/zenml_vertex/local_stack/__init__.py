"""A whole ZenML stack on loopback, for the demo, the tests and the benchmarks.

Nothing of the user's ZenML, gcloud or Docker configuration is read or changed: it is
looked for in the stack's folder, and gone with it. So are the ports.
"""
