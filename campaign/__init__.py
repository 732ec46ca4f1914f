"""A campaign of faults: does each step run get exactly one job, whatever fails?

`trial` is what may go wrong, as data; `drawing` draws it from a seed; `world`,
`zenml_server`, `process` and `launcher` let it happen to a real operator, on a real
emulator, with time that passes only when someone sleeps; `oracle` judges what came of
it. `make faults` runs it.
"""
