#!/usr/bin/env python3
"""A reader of the session log format, version 1, written from SPEC.md alone.

    sslg.py LOG                read one log with the keys and signers of the folder it is in, and print the verdict
    sslg.py --kit FOLDER       read every log of a testkit, and compare with its verdicts.json

It reads strictly: at the first thing that does not hold it stops. Section numbers are those of SPEC.md.
"""

import base64
import hashlib
import hmac
import json
import os
import struct
import sys

import zstandard
from cryptography.exceptions import InvalidTag

import dcbor
import hpke_base
from beside import check_proof, parse_sidecar
from dcbor import Malformed
from fault import Cut, Fault, is_uint
from records import Tally, check_index, check_summary, records
from signatures import SUITES, key_blob, parse_sshsig, verifies

MAGIC = b"\x89SSLG\r\n\x1a"
LARGEST = 1 << 20


# --- section 12: key files ---------------------------------------------------------------------------------------------------

def read_identity(path):
    lines = open(path, encoding="utf-8").read().splitlines()
    start, end = lines.index("-----BEGIN SSHLOG IDENTITY-----"), lines.index("-----END SSHLOG IDENTITY-----")
    payload = base64.b64decode("".join(lines[start + 1:end]), validate=True)
    body, check = payload[:-8], payload[-8:]
    if body[0] != 1 or hashlib.sha256(body).digest()[:8] != check:
        raise ValueError("a damaged key file")
    key = hpke_base.PrivateKey(struct.unpack(">H", body[1:3])[0], body[3:])
    key.key_id = hashlib.sha256(body[1:3] + key.public).digest()[:8]
    return key


def read_signers(path):
    lines = [line.split() for line in open(path, encoding="utf-8") if line.strip() and not line.startswith("#")]
    return {base64.b64decode(words[2]) for words in lines}


# --- section 5: recipients ---------------------------------------------------------------------------------------------------

def parse_wraps(suite, data):
    try:
        wraps = dcbor.whole(data)
    except Malformed:
        raise Fault("Wraps") from None
    if not isinstance(wraps, list) or not 1 <= len(wraps) <= 64:
        raise Fault("Wraps")
    for stanza in wraps:
        if not isinstance(stanza, list) or len(stanza) != 6:
            raise Fault("Wraps")
        if not all(is_uint(x, 16) for x in stanza[:3]) or not all(isinstance(x, bytes) for x in stanza[3:]):
            raise Fault("Wraps")
        if len(stanza[3]) > 32 or len(stanza[5]) != suite.nh + 16:
            raise Fault("Wraps")
    return wraps


def unwrap(suite_id, suite, wraps, core, hh, identities):
    outcome = "no matching identity"
    for identity in identities:
        for kem, kdf, aead, key_id, enc, ct in wraps:
            if kem != identity.kem or key_id not in (b"", identity.key_id) or (kdf, aead) not in hpke_base.SUITES:
                continue
            info = b"sslg1 wrap" + struct.pack(">H", suite_id) + key_id
            try:
                secret = hpke_base.open_base(identity, kdf, aead, enc, info, hh, ct)
            except Exception:  # whatever is wrong with a stanza, it is not for this key
                continue
            commitment = suite.expand(secret, b"commit", core[1] + struct.pack(">I", core[2]), 32)
            if hmac.compare_digest(commitment, core[6]):
                return secret, "ok"
            outcome = "key commitment mismatch"
    return None, outcome


# --- section 6: keys ---------------------------------------------------------------------------------------------------------

class Keys:
    def __init__(self, suite, secret, hh):
        self.suite = suite
        root = suite.extract(hh, secret)
        self.base_nonce = suite.expand(root, b"nonce", length=12)
        self.next_epoch = suite.expand(root, b"epoch")
        self.epoch = -1
        self.begin_epoch()

    def begin_epoch(self):
        self.chain = self.suite.expand(self.next_epoch, b"chain")
        self.next_epoch = self.suite.expand(self.next_epoch, b"next epoch")
        self.epoch += 1

    def next(self):
        key = self.suite.expand(self.chain, b"key", length=32)
        self.chain = self.suite.expand(self.chain, b"next")
        return key

    def nonce(self, seq):
        counter = bytes(4) + struct.pack(">Q", seq)
        return bytes(a ^ b for a, b in zip(self.base_nonce, counter))


# --- section 8: the tree (RFC 6962) -----------------------------------------------------------------------------------------------

def tree_root(suite, leaves):
    if not leaves:
        return suite.h(b"")
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return suite.h(b"\1" + tree_root(suite, leaves[:split]) + tree_root(suite, leaves[split:]))


# --- section 4: the core -----------------------------------------------------------------------------------------------------------

def parse_core(suite, data):
    try:
        core = dcbor.whole(data)
    except Malformed:
        raise Fault("Header") from None
    if not isinstance(core, dict) or not all(is_uint(key) for key in core):
        raise Fault("Header")
    if not set(range(1, 13)) <= set(core) or 0 in core:
        raise Fault("Header")

    def sized(value, length):
        return isinstance(value, bytes) and len(value) == length

    previous = core[3]
    good = (sized(core[1], 16) and is_uint(core[2], 32) and isinstance(previous, bytes) and is_uint(core[4])
            and is_uint(core[5]) and core[5] <= 3)
    if not good:
        raise Fault("Header")
    if core[2] == 0:
        if previous or core[4] or core[5]:
            raise Fault("Header")
    elif len(previous) != suite.nh or core[4] == 0 or core[5] == 0:
        raise Fault("Header")
    key = core[7]
    if not sized(core[6], 32) or not (isinstance(key, list) and len(key) == 2):
        raise Fault("Header")
    if key[0] != suite.signature[0] or not sized(key[1], suite.signature[1]):
        raise Fault("Header")
    if not isinstance(core[8], list):
        raise Fault("Header")
    if core[8]:
        raise Fault("CriticalExtension")
    if not is_uint(core[9]) or not sized(core[10], suite.nh) or not isinstance(core[11], dict):
        raise Fault("Header")
    if not is_uint(core[12]) or core[12] > 20:
        raise Fault("Header")
    return core


# --- section 7: frames, and the whole ------------------------------------------------------------------------------------------------

DATA, INDEX, SUMMARY, OPEN, CHECKPOINT, ATTESTATION = 0x01, 0x02, 0x03, 0x10, 0x11, 0x12
PERIODIC, HEARTBEAT, FINAL, ABORT, ROTATED, RECOVERED = range(6)
CLEAR = 0xFFFFFFFF


class TrailerMissing(Exception):
    """Nothing follows the final checkpoint but a part of the trailer."""


class Segment:
    """A segment whose header was read."""

    def __init__(self, start, suite_id, suite, core, hh, wraps_data, wraps):
        self.start, self.suite_id, self.suite, self.core, self.hh = start, suite_id, suite, core, hh
        self.wraps_hash = suite.h(wraps_data)
        ids = sorted(stanza[3] for stanza in wraps)
        self.recipients_match = suite.h(b"".join(bytes([len(i)]) + i for i in ids)) == core[10]
        self.recovered = core[5] == 2
        self.keys = None
        self.leaves = []
        self.epoch = self.index = 0
        self.public = core[7][1]
        self.after_index = self.after_summary = self.attestation_seen = False
        self.attested = 0
        self.index_offset = None
        self.end = None


class Reader:
    def __init__(self, log, identities, signers, sidecar=None):
        self.log, self.identities, self.signers, self.sidecar = log, identities, signers, sidecar or {}
        self.at = 0
        self.segment = None
        self.completeness, self.integrity, self.authenticity = "truncated", "intact", "unsigned"
        self.decryption, self.strength = None, "unknown"
        self.frames = self.attested = self.records = 0
        self.found = None
        self.data = hashlib.sha256()
        self.tally = Tally()

    def read(self):
        try:
            end = self.read_segments()
            self.completeness = {FINAL: "complete", ABORT: "aborted", RECOVERED: "recovered"}[end]
            if self.at != len(self.log):
                raise Fault("DataAfterEnd")
        except Cut:
            pass
        except TrailerMissing:
            self.completeness = "trailer missing"
        except Fault as fault:
            self.integrity = str(fault)
            if self.integrity in ("OpenSignature", "CheckpointSignature"):
                self.authenticity = "bad signature"
        return self.verdict()

    def verdict(self):
        attested = {"truncated": self.attested, "recovered": self.found}.get(self.completeness)
        return {
            "completeness": self.completeness, "integrity": self.integrity, "authenticity": self.authenticity,
            "decryption": self.decryption or "no matching identity", "strength": self.strength, "frames": self.frames,
            "attested": attested, "records": self.records, "data_sha256": self.data.hexdigest(),
        }

    def peek(self, count):
        if self.at + count > len(self.log):
            raise Cut
        return self.log[self.at:self.at + count]

    def read_segments(self):
        self.read_header()
        while True:
            self.read_frame()
            end = self.segment.end
            if end == ROTATED:
                self.read_header()
            elif end == FINAL and self.segment.index_offset is not None:
                trailer = b"SSLGIDX1" + struct.pack(">QQ", self.segment.start, self.segment.index_offset)
                there = self.log[self.at:self.at + 24]
                if not trailer.startswith(there):
                    raise Fault("Trailer")
                if len(there) < 24:
                    raise TrailerMissing
                self.at += 24
                return end
            elif end is not None:
                return end

    # section 3
    def read_header(self):
        have = self.log[self.at:self.at + 8]
        if not MAGIC.startswith(have):
            raise Fault("Magic")
        head = self.peek(20)
        if head[8] != 1:
            raise Fault("Version")
        suite_id, core_len, wraps_len = struct.unpack(">HII", head[10:])
        if suite_id not in SUITES:
            raise Fault("Suite")
        if core_len > 65536 or wraps_len > 262144:
            raise Fault("HeaderLimit")
        whole = self.peek(20 + core_len + wraps_len)
        core_data, wraps_data = whole[20:20 + core_len], whole[20 + core_len:]
        suite = SUITES[suite_id]
        core = parse_core(suite, core_data)
        self.check_follows(suite, core)
        wraps = parse_wraps(suite, wraps_data)
        hh = suite.h(b"\x48" + head[:16] + core_data)
        before = self.segment
        segment = Segment(self.at, suite_id, suite, core, hh, wraps_data, wraps)
        segment.before = before
        wraps = wraps + self.sidecar.get((suite_id, hh), [])
        secret, outcome = unwrap(suite_id, suite, wraps, core, hh, self.identities)
        if secret is not None:
            segment.keys = Keys(suite, secret, hh)
        if segment.recovered:
            self.found = self.attested
        else:
            self.judge_secrecy(outcome, wraps)
        self.at += len(whole)
        self.segment = segment

    # section 11
    def judge_secrecy(self, outcome, wraps):
        if self.decryption in (None, "ok"):
            self.decryption = outcome
        if self.strength != "classical":
            self.strength = "post-quantum" if all(s[0] == 0x647A for s in wraps) else "classical"

    def check_follows(self, suite, core):
        before = self.segment
        if before is None:
            if core[2] != 0:
                raise Fault("SegmentNotContinued")
            return
        tree = (tree_root(before.suite, before.leaves), len(before.leaves))
        good = core[1] == before.core[1] and core[2] == before.core[2] + 1 and (core[3], core[4]) == tree
        if core[5] != 2:
            good = good and core[5] == 3 and core[7][1] == before.public
        if not good:
            raise Fault("SegmentNotContinued")

    def read_frame(self):
        have = self.log[self.at:self.at + 8]
        if not have.startswith(b"\xc5\x5c") and not b"\xc5\x5c".startswith(have[:2]) and not MAGIC.startswith(have):
            raise Fault("Sync")
        head = self.peek(24)
        if head[:8] == MAGIC:
            if not self.recovers():
                raise Fault("Sync")
            self.read_header()
            return
        sync, kind, flags, body_len, seq, epoch, index = struct.unpack(">2sBBIQII", head)
        if sync != b"\xc5\x5c":
            raise Fault("Sync")
        if kind not in (DATA, INDEX, SUMMARY, OPEN, CHECKPOINT, ATTESTATION) and kind < 0x80:
            raise Fault("FrameKind")
        allowed = 0x07 if kind == DATA else 0xFF if kind >= 0x80 else 0
        if flags & ~allowed:
            raise Fault("FrameFlags")
        encrypted = index != CLEAR
        if kind < 0x80 and encrypted != (kind in (DATA, INDEX, SUMMARY)):
            raise Fault("FramePlace")
        if body_len > LARGEST + 32 or encrypted and body_len < 32:
            raise Fault("FrameLength")
        self.check_place(kind, seq, epoch, index)
        segment = self.segment
        if self.at + 24 + body_len - segment.start > 1 << 30:
            raise Fault("SegmentTooLarge")
        frame = self.peek(24 + body_len)
        body = frame[24:]
        plain = None
        if kind == OPEN:
            self.check_open(body)
        elif kind == CHECKPOINT:
            end, next_public = self.check_checkpoint(seq, body)
        elif kind == ATTESTATION:
            self.check_attestation(body)
        elif kind < 0x80 and segment.keys:
            plain = self.decrypt(head, flags, seq, body)
        place = self.at
        self.at += len(frame)
        self.frames += 1
        segment.leaves.append(segment.suite.h(b"\0" + frame))
        if encrypted:
            segment.index += 1
        if kind >= 0x80 and encrypted and segment.keys:
            segment.keys.next()
        segment.after_index = kind == INDEX
        segment.after_summary |= kind == SUMMARY
        segment.attestation_seen |= kind == ATTESTATION
        if kind == INDEX:
            segment.index_offset = place
        if kind == CHECKPOINT:
            self.attested = self.frames - 1
            segment.attested = seq
            segment.public, segment.epoch, segment.index = next_public, segment.epoch + 1, 0
            if segment.keys:
                segment.keys.begin_epoch()
            if end in (FINAL, ABORT, ROTATED, RECOVERED):
                segment.end = end
        if plain is not None:
            self.take_content(kind, *plain)

    def recovers(self):
        """Whether a header stands here that says what was found of this log (section 14)."""
        head = self.peek(20)
        suite_id, core_len, wraps_len = struct.unpack(">HII", head[10:])
        if head[8] != 1 or suite_id not in SUITES or core_len > 65536 or wraps_len > 262144:
            return False
        core_data = self.peek(20 + core_len)[20:]
        try:
            return parse_core(SUITES[suite_id], core_data)[5] == 2
        except Fault:
            return False

    def check_place(self, kind, seq, epoch, index):
        segment = self.segment
        expected = len(segment.leaves)
        if seq < expected:
            raise Fault("FrameRepeated")
        if seq >= 1 << 21:
            raise Fault("TooManyFrames")
        if seq > expected:
            raise Fault("FramesMissing")
        if epoch != segment.epoch or index not in (CLEAR, segment.index):
            raise Fault("FramePlace")
        if kind == OPEN:
            if seq != 0:
                raise Fault("Open")
        elif seq == 0:
            raise Fault("OpenMissing")
        elif kind == ATTESTATION and (seq != 1 or not segment.recovered):
            raise Fault("Attestation")
        elif kind in (CHECKPOINT, ATTESTATION):
            return
        elif segment.recovered:
            raise Fault("Attestation")
        elif segment.after_summary:
            raise Fault("Summary")
        elif segment.after_index and kind != SUMMARY:
            raise Fault("Index")

    # section 8
    def check_open(self, body):
        segment, suite = self.segment, self.segment.suite
        signed = parse_sshsig(suite, body[1 + suite.nh:]) if len(body) > 1 + suite.nh else None
        if signed is None or body[0] > 2:
            raise Fault("Open")
        algorithm, public, signature = signed
        wraps_hash = body[1:1 + suite.nh]
        message = b"sslg1 open\0" + segment.hh + wraps_hash
        if not verifies(suite, algorithm, public, message, signature):
            raise Fault("OpenSignature")
        if wraps_hash != segment.wraps_hash or not segment.recipients_match:
            raise Fault("WrapsReplaced")
        expected = 0 if segment.core[2] == 0 else 2 if segment.recovered else 1
        if body[0] != expected:
            raise Fault("Open")
        if expected == 1:
            if public != segment.core[7][1]:
                raise Fault("SegmentNotContinued")
            return
        judged = "verified" if key_blob(algorithm, public) in self.signers else "untrusted"
        if self.authenticity == "unsigned" or judged == "untrusted":
            self.authenticity = judged

    def check_checkpoint(self, seq, body):
        segment, suite = self.segment, self.segment.suite
        algorithm = suite.signature
        _, np, ns = algorithm[:3]
        if len(body) != 17 + suite.nh + np + ns or body[0] > RECOVERED:
            raise Fault("Checkpoint")
        kind, size = body[0], struct.unpack(">Q", body[1:9])[0]
        root, next_public = body[9:9 + suite.nh], body[17 + suite.nh:17 + suite.nh + np]
        if (kind in (FINAL, ABORT, RECOVERED)) != (next_public == bytes(np)):
            raise Fault("Checkpoint")
        message = b"sslg1 cp\0" + segment.hh + body[:-ns]
        if not verifies(suite, algorithm, segment.public, message, body[-ns:]):
            raise Fault("CheckpointSignature")
        if size != seq:
            raise Fault("Checkpoint")
        if (kind == RECOVERED) != segment.recovered or kind == RECOVERED and not segment.attestation_seen:
            raise Fault("Attestation")
        if root != tree_root(suite, segment.leaves):
            raise Fault("RootMismatch")
        if (kind == FINAL) != segment.after_summary:
            raise Fault("Summary")
        if segment.after_index and kind != ROTATED:
            raise Fault("Index")
        return kind, next_public

    # section 14
    def check_attestation(self, body):
        segment = self.segment
        try:
            said = dcbor.whole(body)
        except Malformed:
            raise Fault("Attestation") from None
        if not isinstance(said, dict) or not all(map(is_uint, said)) or not set(range(1, 7)) <= set(said):
            raise Fault("Attestation")
        if said[5] != segment.core[4] or said[4] != segment.before.attested or said[2] != segment.start:
            raise Fault("Attestation")

    def decrypt(self, head, flags, seq, body):
        segment, suite = self.segment, self.segment.suite
        keys = segment.keys
        key = suite.expand(keys.chain, b"key", length=32)
        try:
            plain = suite.aead(key).decrypt(keys.nonce(seq), body, segment.hh + head)
        except InvalidTag:
            raise Fault("NotAuthentic") from None
        keys.next()
        return struct.unpack(">Q", plain[8:16])[0], content_of(plain, flags, segment.core)

    def take_content(self, kind, t_us, content):
        if kind == SUMMARY:
            said = check_summary(content)
            if self.decryption == "ok" and not self.tally.agrees(said):
                raise Fault("SummaryMismatch")
        elif kind == INDEX:
            check_index(content, self.segment.start)
        else:
            for record_kind, dt_us, channel, body in records(content):
                self.records += 1
                t_us = min(t_us + dt_us, 2**64 - 1)
                self.tally.add(t_us, channel, record_kind, body)
                if record_kind in (1, 2, 3):
                    self.data.update(body)


def content_of(plain, flags, core):
    content_len, raw_len = struct.unpack(">II", plain[:8])
    compressed = bool(flags & 1)
    fits = raw_len > content_len if compressed else raw_len == content_len
    if raw_len > LARGEST or not fits or content_len > len(plain) - 16 or raw_len > 1 << core[12]:
        raise Fault("FrameContent")
    content, padding = plain[16:16 + content_len], plain[16 + content_len:]
    if any(padding):
        raise Fault("FrameContent")
    return decompress(content, raw_len) if compressed else content


def decompress(content, raw_len):
    try:
        parameters = zstandard.get_frame_parameters(content)
        if parameters.window_size > LARGEST or parameters.dict_id:
            raise Fault("FrameContent")
        decoder = zstandard.ZstdDecompressor(max_window_size=LARGEST).decompressobj()
        plain = decoder.decompress(content)
    except zstandard.ZstdError:
        raise Fault("FrameContent") from None
    if len(plain) != raw_len or not decoder.eof or decoder.unused_data:
        raise Fault("FrameContent")
    return plain


def read(path, identities, signers):
    with open(path, "rb") as file:
        return Reader(file.read(), identities, signers).read()


def keys_of(folder):
    names = sorted(name for name in os.listdir(folder) if name.startswith("identity-"))
    identities = [read_identity(os.path.join(folder, name)) for name in names]
    return identities, read_signers(os.path.join(folder, "allowed_signers"))


def read_beside(folder, name, identities, signers):
    """What is to be said of a sidecar for `recipient-rewrapped.sslg`, or of a proof."""
    with open(os.path.join(folder, name), "rb") as file:
        data = file.read()
    try:
        if name.endswith(".proof"):
            return check_proof(data, signers, parse_core, content_of)
        sidecar = parse_sidecar(data, parse_wraps)
    except Fault as fault:
        return {"fault": str(fault)}
    with open(os.path.join(folder, "recipient-rewrapped.sslg"), "rb") as file:
        return Reader(file.read(), identities, signers, sidecar).read()


def compare(folder):
    identities, signers = keys_of(folder)
    expected = {}
    for name in ("verdicts.json", "beside.json"):
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            expected |= json.load(file)
    wrong = 0
    for name, verdict in expected.items():
        if name.endswith((".proof", ".sidecar")):
            found = read_beside(folder, name, identities, signers)
        else:
            found = read(os.path.join(folder, name + ".sslg"), identities, signers)
        differ = [f"{key}: {found.get(key)!r}, not {verdict[key]!r}" for key in verdict if found.get(key) != verdict[key]]
        if differ:
            wrong += 1
            print(f"{name}: " + "; ".join(differ))
    print(f"{len(expected) - wrong} of {len(expected)} as expected")
    return 1 if wrong else 0


def main(arguments):
    if len(arguments) == 2 and arguments[0] == "--kit":
        return compare(arguments[1])
    if len(arguments) == 1:
        identities, signers = keys_of(os.path.dirname(arguments[0]) or ".")
        print(json.dumps(read(arguments[0], identities, signers), indent=2))
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
