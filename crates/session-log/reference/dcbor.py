"""Deterministic CBOR as SPEC.md allows it: RFC 8949 section 4.2.1, few types, at most 8 levels.

`cbor2` decodes; what it decodes must encode to the same bytes again, which it only does for shortest heads, definite lengths and keys in order.
"""

import io

import cbor2

LEVELS = 8


class Malformed(Exception):
    """Not the one deterministic encoding of what the format allows."""


def check(value, levels=LEVELS):
    if levels == 0:
        raise Malformed
    if value is None or isinstance(value, (bool, bytes, str)):
        return
    if isinstance(value, int):
        if not -(1 << 64) <= value < 1 << 64:
            raise Malformed
    elif isinstance(value, (list, tuple)):
        for entry in value:
            check(entry, levels - 1)
    elif isinstance(value, dict):
        for key, entry in value.items():
            check(key, levels - 1)
            check(entry, levels - 1)
    else:
        raise Malformed


def in_order(value):
    """The same with the keys of every map in bytewise order of their encodings."""
    if isinstance(value, dict):
        pairs = sorted(value.items(), key=lambda pair: cbor2.dumps(pair[0]))
        return {key: in_order(entry) for key, entry in pairs}
    if isinstance(value, (list, tuple)):
        return [in_order(entry) for entry in value]
    return value


def item(data, at):
    """One item and where it ends."""
    file = io.BytesIO(data)
    file.seek(at)
    try:
        value = cbor2.CBORDecoder(file, read_size=1).decode()
    except Exception:  # cbor2 has many
        raise Malformed from None
    end = file.tell()
    check(value)
    if cbor2.dumps(in_order(value)) != data[at:end]:
        raise Malformed
    return value, end


def whole(data):
    value, end = item(data, 0)
    if end != len(data):
        raise Malformed
    return value


def array_head(data, at):
    """The length of an array of a few entries, and where they begin."""
    if at >= len(data) or not 0x80 <= data[at] <= 0x97:
        raise Malformed
    return data[at] - 0x80, at + 1
