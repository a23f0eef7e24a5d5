"""What every part of the reader shares."""


class Fault(Exception):
    """What does not hold, by its name in section 13."""


class Cut(Exception):
    """The bytes end inside something."""


def is_uint(value, bits=64):
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << bits
