"""Files beside a log: further recipients (section 15) and proofs of one frame (section 16)."""

import hashlib
import struct

from cryptography.exceptions import InvalidTag

import dcbor
from dcbor import Malformed
from fault import Fault, is_uint
from records import records
from signatures import SUITES, key_blob, parse_sshsig, verifies

# --- section 15 --------------------------------------------------------------------------------------------------------------------


def parse_sidecar(data, parse_wraps):
    """The wraps by HH."""
    if len(data) < 16 or data[:8] != b"\x89SSLW\r\n\x1a" or data[8] != 1:
        raise Fault("NoSidecar")
    suite_id, length = struct.unpack(">HI", data[10:16])
    if suite_id not in SUITES:
        raise Fault("NoSidecar")
    suite = SUITES[suite_id]
    if 16 + length > len(data):
        raise Fault("Malformed")
    signed, blob = data[:16 + length], data[16 + length:]
    signature = parse_sshsig(suite, blob)
    if signature is None or not verifies(suite, *signature[:2], b"sslg1 grant\0" + suite.h(signed), signature[2]):
        raise Fault("Signature")
    try:
        body = dcbor.whole(signed[16:])
    except Malformed:
        raise Fault("Malformed") from None
    if not isinstance(body, dict) or not all(map(is_uint, body)) or not {1, 2, 3} <= set(body) or 0 in body:
        raise Fault("Malformed")
    if not isinstance(body[1], bytes) or len(body[1]) != 16 or not is_uint(body[2]) or not isinstance(body[3], list):
        raise Fault("Malformed")
    found, last = {}, -1
    for row in body[3]:
        if not isinstance(row, list) or len(row) != 3 or not is_uint(row[0], 32) or row[0] <= last:
            raise Fault("Malformed")
        last, hh, wraps = row
        if not isinstance(hh, bytes) or len(hh) != suite.nh or not isinstance(wraps, bytes) or len(wraps) > 262144:
            raise Fault("Malformed")
        try:
            found[suite_id, hh] = parse_wraps(suite, wraps)
        except Fault:
            raise Fault("Malformed") from None
    return found


# --- section 16 --------------------------------------------------------------------------------------------------------------------


def parse_proof(data):
    try:
        proof = dcbor.whole(data)
    except Malformed:
        raise Fault("Malformed") from None
    if not isinstance(proof, dict) or set(proof) != {1, 2, 3, 4, 5, 6} or proof[1] not in SUITES:
        raise Fault("Malformed")
    suite, chain, frame, path, key, nonce = (SUITES[proof[1]], *(proof[n] for n in range(2, 7)))
    good = isinstance(chain, list) and isinstance(frame, bytes) and isinstance(path, list)
    good = good and all(isinstance(beside, bytes) and len(beside) == suite.nh for beside in path)
    good = good and isinstance(key, bytes) and len(key) == 32 and isinstance(nonce, bytes) and len(nonce) == 12
    if not good:
        raise Fault("Malformed")
    for part in chain:
        good = isinstance(part, list) and len(part) == 3 and isinstance(part[0], bytes) and isinstance(part[1], bytes)
        if not good or not isinstance(part[2], list) or not all(isinstance(body, bytes) for body in part[2]):
            raise Fault("Malformed")
    return suite, chain, frame, path, key, nonce


def root_of_path(suite, seq, size, leaf, path):
    """RFC 9162 section 2.1.3.2, which computes what RFC 6962 defines."""
    if seq >= size:
        return None
    node, last, root = seq, size - 1, leaf
    for beside in path:
        if last == 0:
            return None
        if node & 1 or node == last:
            root = suite.h(b"\1" + beside + root)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            root = suite.h(b"\1" + root + beside)
        node, last = node >> 1, last >> 1
    return root if last == 0 else None


def check_chain(suite, suite_id, chain, signers, parse_core):
    named = last = None
    _, np, ns = suite.signature[:3]
    for number, (head, open_body, checkpoints) in enumerate(chain):
        if len(head) < 16:
            raise Fault("Malformed")
        try:
            core = parse_core(suite, head[16:])
        except Fault:
            raise Fault("Malformed") from None
        if head[10:12] != struct.pack(">H", suite_id) or core[2] != number:
            raise Fault("Chain")
        hh = suite.h(b"\x48" + head)
        signed = parse_sshsig(suite, open_body[1 + suite.nh:]) if len(open_body) > 1 + suite.nh else None
        if signed is None or open_body[0] > 2:
            raise Fault("Malformed")
        algorithm, public, signature = signed
        if not verifies(suite, algorithm, public, b"sslg1 open\0" + hh + open_body[1:1 + suite.nh], signature):
            raise Fault("Signature")
        if number == 0 and open_body[0] == 0:
            if key_blob(algorithm, public) not in signers:
                raise Fault("UntrustedSigner")
        elif not (number and open_body[0] == 1 and named == core[7][1] == public):
            raise Fault("Chain")
        named, size, kind = core[7][1], -1, None
        for body in checkpoints:
            if len(body) != 17 + suite.nh + np + ns or body[0] > 5:
                raise Fault("Malformed")
            if named is None:
                raise Fault("Chain")
            if not verifies(suite, suite.signature, named, b"sslg1 cp\0" + hh + body[:-ns], body[-ns:]):
                raise Fault("Signature")
            before, kind, size, root = size, body[0], struct.unpack(">Q", body[1:9])[0], body[9:9 + suite.nh]
            if before >= size:
                raise Fault("Chain")
            named = body[17 + suite.nh:17 + suite.nh + np]
            named = None if named == bytes(np) else named
        if kind is None or number + 1 < len(chain) and kind != 4:
            raise Fault("Chain")
        last = core, hh, size, root
    if last is None:
        raise Fault("Chain")
    return last


def check_proof(data, signers, parse_core, content_of):
    suite, chain, frame, path, key, nonce = parse_proof(data)
    suite_id = next(number for number, known in SUITES.items() if known is suite)
    core, hh, size, root = check_chain(suite, suite_id, chain, signers, parse_core)
    if len(frame) < 24:
        raise Fault("Malformed")
    sync, kind, flags, length, seq, _, _ = struct.unpack(">2sBBIQII", frame[:24])
    if sync != b"\xc5\x5c" or kind not in (1, 2, 3) or length != len(frame) - 24:
        raise Fault("Malformed")
    if root_of_path(suite, seq, size, suite.h(b"\0" + frame), path) != root:
        raise Fault("NotIncluded")
    try:
        plain = suite.aead(key).decrypt(nonce, frame[24:], hh + frame[:24])
    except InvalidTag:
        raise Fault("Key") from None
    try:
        content = content_of(plain, flags, core)
    except Fault:
        raise Fault("Content") from None
    count, digest = 0, hashlib.sha256()
    for record_kind, _, _, body in records(content) if kind == 1 else ():
        count += 1
        if record_kind in (1, 2, 3):
            digest.update(body)
    return {"fault": None, "segment": core[2], "seq": seq, "covered": size, "records": count, "data_sha256": digest.hexdigest()}
