"""A campaign of faults: does each step run get exactly one job, whatever fails?

`trial` describes what goes wrong, as data, and `drawing` draws it from a seed. `world`,
`zenml_server`, `process` and `launcher` inflict it on a real operator, with a real
emulator and time that passes only when someone sleeps. `oracle` judges the outcome.
`make faults` runs it.
"""
