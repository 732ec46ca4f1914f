"""What can be wrong with a plan of faults."""


class FaultError(ValueError):
    """A fault that cannot be planned; says which field, and what it may be."""


class UnconsumedFaultError(AssertionError):
    """A planned fault has not happened, so whatever it was planned for was not tested."""
