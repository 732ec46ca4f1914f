"""`make bench`: what this operator and ZenML's built-in one cost, in one harness.

Both run against the same emulator in one run. `python -m benchmarks --help` tells how to
measure some rows only. A new row is a `Row` in the `@measures` of the function that measures
it; a new function is listed in `measurements.py`. `make bench ROWS=ID` then records its
figures, which a test asks for.
"""
