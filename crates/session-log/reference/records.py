"""The contents of frames: records (section 9), SUMMARY and INDEX (section 10)."""

import dcbor
from dcbor import Malformed
from fault import Fault, is_uint

# --- section 9: records ------------------------------------------------------------------------------------------------------------

UINT, SIDE, TEXT, BYTES, BOOL, INT, TEXTS, U32, U16, SHA = "uint side text bytes bool int texts u32 u16 sha".split()
BODIES = {
    0x04: [UINT, TEXT], 0x05: [UINT, TEXT], 0x08: ["0/1", SIDE], 0x09: [SIDE, TEXT, BOOL], 0x0A: [SIDE, BOOL],
    0x0B: [SIDE, BOOL, U32, TEXT],
    0x10: [TEXT, UINT, TEXT, TEXTS, TEXT, TEXT, TEXT, TEXT, U16, TEXT, TEXT, TEXT, TEXT, TEXTS, TEXT, TEXT, UINT, TEXT, TEXT],
    0x11: [SIDE, TEXT, U32, U32, BYTES], 0x12: [TEXT, U32, U32, U32, U32, BYTES], 0x13: [BYTES, BYTES], 0x14: [BYTES],
    0x15: [], 0x16: [TEXT], 0x17: [BOOL], 0x18: [BOOL, TEXT, U32], 0x19: [U32, U32, U32, U32], 0x1A: [TEXT], 0x1B: [U32],
    0x1C: [U32], 0x1D: [TEXT, BOOL, TEXT, TEXT],
    0x20: [SIDE, TEXT, TEXT, U32, TEXT, U32], 0x21: [SIDE, UINT, BYTES], 0x22: [UINT, UINT], 0x23: [SIDE, TEXT, TEXT, U32],
    0x24: [TEXT, TEXT, U32], 0x25: [TEXT, U32], 0x26: [SHA, SHA], 0x27: [U32, TEXT, BOOL],
    0x30: [TEXT, BYTES, BYTES, U32, U32], 0x31: [SIDE, BYTES, UINT, BYTES, BOOL, TEXT], 0x32: [SIDE, BYTES, BOOL],
    0x33: [SIDE, BYTES], 0x40: [TEXT, TEXT, U32, TEXT, TEXT], 0x41: [BOOL, TEXT], 0x42: [BOOL], 0x43: [UINT, BOOL],
    0x50: [BOOL, TEXT, TEXT], 0x51: [TEXT, TEXT], 0x52: [TEXT], 0x53: [TEXT, TEXT, TEXT], 0x54: [SIDE, TEXT, TEXT],
    0x60: [UINT], 0x61: ["0/1", INT], 0x62: [UINT, TEXT], 0x63: [TEXT, BYTES], 0x64: [TEXT], 0x65: [TEXT],
}


def is_text(value):
    return isinstance(value, str) and len(value.encode()) <= 65536


CHECKS = {
    UINT: is_uint, U32: lambda v: is_uint(v, 32), U16: lambda v: is_uint(v, 16), TEXT: is_text,
    SIDE: lambda v: is_uint(v) and v <= 1, "0/1": lambda v: is_uint(v) and v <= 1, BOOL: lambda v: isinstance(v, bool),
    BYTES: lambda v: isinstance(v, bytes), SHA: lambda v: isinstance(v, bytes) and len(v) == 32,
    INT: lambda v: isinstance(v, int) and not isinstance(v, bool) and -2**63 <= v < 2**63,
    TEXTS: lambda v: isinstance(v, list) and len(v) <= 1024 and all(map(is_text, v)),
}


def records(content):
    """Every record of a DATA frame as (kind, dt_us, channel, body); raises at the first that is malformed."""
    at = 0
    while at < len(content):
        try:
            length, at = dcbor.array_head(content, at)
            if length not in (4, 5):
                raise Malformed
            fields = []
            for _ in range(length):
                item, at = dcbor.item(content, at)
                fields.append(item)
        except Malformed:
            raise Fault("Record") from None
        kind, dt_us, channel, body = fields[:4]
        if not (is_uint(kind, 16) and is_uint(dt_us) and is_uint(channel, 32)):
            raise Fault("Record")
        if kind in (1, 2, 3):
            if not isinstance(body, bytes):
                raise Fault("Record")
        elif kind in BODIES:
            if not isinstance(body, dict):
                raise Fault("Record")
            for key, what in enumerate(BODIES[kind], 1):
                if key not in body or not CHECKS[what](body[key]):
                    raise Fault("Record")
        elif kind >= 0x8000:
            raise Fault("Record")
        yield kind, dt_us, channel, body


# --- section 10 --------------------------------------------------------------------------------------------------------------------

def check_summary(content):
    try:
        summary = dcbor.whole(content)
    except Malformed:
        raise Fault("Record") from None
    if not isinstance(summary, dict) or not all(is_uint(key) for key in summary) or not {1, 2, 3, 4, 5} <= set(summary):
        raise Fault("Record")
    counters, channels = summary[3], summary[4]
    good = all(is_uint(summary[key]) for key in (1, 2, 5))
    good = good and isinstance(counters, dict) and all(is_uint(k, 16) and is_uint(v) for k, v in counters.items())
    good = good and isinstance(channels, list) and len(channels) <= 256 and all(map(is_channel, channels))
    if not good or any(a[1] >= b[1] for a, b in zip(channels, channels[1:])):
        raise Fault("Record")
    return summary


def is_channel(entry):
    if not isinstance(entry, dict) or not {1, 2, 3, 4} <= set(entry) or not all(is_uint(key) for key in entry):
        return False
    exit_is_good = 5 not in entry or is_uint(entry[5], 32) or is_text(entry[5])
    hash_is_good = 6 not in entry or isinstance(entry[6], bytes) and len(entry[6]) == 32
    return is_uint(entry[1], 32) and all(is_uint(entry[key]) for key in (2, 3, 4)) and exit_is_good and hash_is_good


class Tally:
    """What SUMMARY must say of the records."""

    def __init__(self):
        self.first = self.last = self.elsewhere = 0
        self.counters, self.channels = {}, {}

    def add(self, t_us, channel, kind, body):
        if not self.counters:
            self.first = t_us
        self.last = t_us
        self.counters[kind] = self.counters.get(kind, 0) + 1
        if channel not in self.channels and len(self.channels) == 256:
            self.elsewhere += 1
            return
        entry = self.channels.setdefault(channel, {1: channel, 2: 0, 3: 0, 4: 0})
        if kind in (0x01, 0x02, 0x03):
            entry[kind + 1] += len(body)
        elif kind == 0x1C:
            entry[5] = body[1]
        elif kind == 0x1D:
            entry[5] = body[1].encode()[:32].decode(errors="ignore")

    def agrees(self, said):
        channels = [{key: entry[key] for key in entry if key <= 5} for entry in said[4]]
        mine = [self.channels[number] for number in sorted(self.channels)]
        return (said[1], said[2], said[3], channels, said[5]) == (self.first, self.last, self.counters, mine, self.elsewhere)


def check_index(content, segment_offset):
    try:
        index = dcbor.whole(content)
    except Malformed:
        raise Fault("Index") from None
    if not isinstance(index, dict) or not all(is_uint(key) for key in index) or not {1, 2, 3} <= set(index):
        raise Fault("Index")
    if index[1] != segment_offset:
        raise Fault("Index")
    for key, length in ((2, 2), (3, 4)):
        rows = index[key]
        if not isinstance(rows, list) or len(rows) > 256:
            raise Fault("Index")
        if not all(isinstance(row, list) and len(row) == length and all(map(is_uint, row)) for row in rows):
            raise Fault("Index")
    places, segments = index[2], index[3]
    good = all(a[0] <= b[0] and a[1] < b[1] for a, b in zip(places, places[1:]))
    good = good and all(row[0] < 1 << 32 for row in segments)
    good = good and all(a[0] < b[0] and a[1] <= b[1] for a, b in zip(segments, segments[1:]))
    if not good:
        raise Fault("Index")
