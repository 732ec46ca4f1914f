"""`make bench`: what this operator and ZenML's built-in one cost, in one harness.

Both run against the same emulator in one run. `python -m benchmarks --help` tells
how to run some rows.
"""
