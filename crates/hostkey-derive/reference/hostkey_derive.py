#!/usr/bin/env python3
"""The derivation of SPEC.md, written from its text with nothing but the standard library.

    hostkey_derive.py derive            JSON lines {account_secret_hex, target_host_key, algorithm} in, public keys out
    hostkey_derive.py check FILE        exits 0 if every vector of the file holds
    hostkey_derive.py secret-ids        prints vectors for the ids of secrets
    hostkey_derive.py rejection         prints vectors for orders so small that candidates are rejected

Not constant time: for tests only.
"""

import base64
import hashlib
import hmac
import json
import struct
import sys

SALT = b"portreeve hostkey-derive v1"
ED25519, P256, P384 = "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384"


def string(data):
    return struct.pack(">I", len(data)) + data


# --- HKDF-SHA-256 (RFC 5869) ---------------------------------------------------------------------


def expand(prk, info, length):
    out, block, counter = b"", b"", 1
    while len(out) < length:
        block = hmac.new(prk, block + info + bytes([counter]), hashlib.sha256).digest()
        out, counter = out + block, counter + 1
    return out[:length]


def candidate(secret, target_blob, algorithm, n, length):
    prk = hmac.new(SALT, secret, hashlib.sha256).digest()
    info = b"host key\x00" + string(algorithm.encode()) + string(target_blob) + struct.pack(">I", n)
    return expand(prk, info, length)


def first_below(secret, target_blob, algorithm, order, length):
    for n in range(1024):
        c = candidate(secret, target_blob, algorithm, n, length)
        if 1 <= int.from_bytes(c, "big") < order:
            return c, n
    raise ValueError("no candidate")


# --- Short Weierstrass curves with a = -3 (SP 800-186) -------------------------------------------


class Curve:
    def __init__(self, name, size, p, b, gx, gy, order):
        self.name, self.size, self.p, self.b, self.g, self.order = name, size, p, b, (gx, gy), order
        assert (gy * gy - (gx**3 - 3 * gx + b)) % p == 0

    def add(self, a, b):
        if a is None or b is None:
            return a or b
        (x1, y1), (x2, y2) = a, b
        if x1 == x2:
            if (y1 + y2) % self.p == 0:
                return None
            slope = (3 * x1 * x1 - 3) * pow(2 * y1, -1, self.p)
        else:
            slope = (y2 - y1) * pow(x2 - x1, -1, self.p)
        x = (slope * slope - x1 - x2) % self.p
        return x, (slope * (x1 - x) - y1) % self.p

    def multiply(self, scalar):
        result, addend = None, self.g
        while scalar:
            if scalar & 1:
                result = self.add(result, addend)
            addend, scalar = self.add(addend, addend), scalar >> 1
        return result

    def public_blob(self, algorithm, scalar):
        x, y = self.multiply(int.from_bytes(scalar, "big"))
        point = b"\x04" + x.to_bytes(self.size, "big") + y.to_bytes(self.size, "big")
        return string(algorithm.encode()) + string(self.name.encode()) + string(point)


CURVES = {
    P256: Curve(
        "nistp256",
        32,
        0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF,
        0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B,
        0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
        0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    ),
    P384: Curve(
        "nistp384",
        48,
        2**384 - 2**128 - 2**96 + 2**32 - 1,
        0xB3312FA7E23EE7E4988E056BE3F82D19181D9C6EFE8141120314088F5013875AC656398D8A2ED19D2A85C8EDD3EC2AEF,
        0xAA87CA22BE8B05378EB1C71EF320AD746E1D3B628BA79B9859F741E082542A385502F25DBF55296C3A545E3872760AB7,
        0x3617DE4A96262C6F5D9E98BF9292DC29F8F41DBD289A147CE9DA3113B5F0B8C00A60B1CE1D7E819D7A431D7C90EA0E5F,
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
    ),
}


# --- Ed25519 (RFC 8032 section 5.1.5) ------------------------------------------------------------

Q = 2**255 - 19
D = -121665 * pow(121666, -1, Q) % Q
BASE_Y = 4 * pow(5, -1, Q) % Q


def recover_x(y):
    square = (y * y - 1) * pow(D * y * y + 1, -1, Q) % Q
    x = pow(square, (Q + 3) // 8, Q)
    if (x * x - square) % Q:
        x = x * pow(2, (Q - 1) // 4, Q) % Q
    return Q - x if x & 1 else x


def edwards_add(a, b):
    (x1, y1), (x2, y2) = a, b
    product = D * x1 * x2 * y1 * y2
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, Q)
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, Q)
    return x % Q, y % Q


def ed25519_public(seed):
    h = bytearray(hashlib.sha512(seed).digest()[:32])
    h[0] &= 248
    h[31] = (h[31] & 127) | 64
    scalar, result, addend = int.from_bytes(h, "little"), (0, 1), (recover_x(BASE_Y), BASE_Y)
    while scalar:
        if scalar & 1:
            result = edwards_add(result, addend)
        addend, scalar = edwards_add(addend, addend), scalar >> 1
    x, y = result
    return (y | (x & 1) << 255).to_bytes(32, "little")


# --- The derivation ------------------------------------------------------------------------------


def derive(secret, target_blob, algorithm):
    if algorithm == ED25519:
        seed = candidate(secret, target_blob, algorithm, 0, 32)
        return string(algorithm.encode()) + string(ed25519_public(seed)), 0
    curve = CURVES[algorithm]
    scalar, rejected = first_below(secret, target_blob, algorithm, curve.order, curve.size)
    return curve.public_blob(algorithm, scalar), rejected


def derive_line(vector):
    secret = bytes.fromhex(vector["account_secret_hex"])
    target = base64.b64decode(vector["target_host_key"].split()[1])
    blob, rejected = derive(secret, target, vector["algorithm"])
    return vector["algorithm"] + " " + base64.b64encode(blob).decode(), rejected


def check(path):
    with open(path) as file:
        vectors = json.load(file)["vectors"]
    for vector in vectors:
        line, rejected = derive_line(vector)
        assert line == vector["derived_public_key"], vector
        assert rejected == vector["rejected"], vector
    assert vectors


def rejection_vectors():
    """Orders of which a random candidate is below with probability 1/2 to 1/32, so that some are rejected."""
    target = string(b"ssh-ed25519") + string(bytes(range(32)))
    vectors = []
    for algorithm, size in ((P256, 32), (P384, 48)):
        for halvings in (1, 2, 3, 5):
            secret = hashlib.sha256(b"rejection %d %d" % (size, halvings)).digest()
            order = (1 << (8 * size - halvings)) - 3
            c, n = first_below(secret, target, algorithm, order, size)
            vectors.append(vector(secret, target, algorithm, order, size, c, n))
        # The edges: a candidate equal to the order is rejected, one below the order is not.
        secret = hashlib.sha256(b"edge %d" % size).digest()
        first = int.from_bytes(candidate(secret, target, algorithm, 0, size), "big")
        for order in (first, first + 1):
            c, n = first_below(secret, target, algorithm, order, size)
            vectors.append(vector(secret, target, algorithm, order, size, c, n))
    assert any(v["rejected"] > 0 for v in vectors)
    return {"spec": "hostkey-derive v1, test-only orders", "vectors": vectors}


def vector(secret, target, algorithm, order, size, c, n):
    return {
        "account_secret_hex": secret.hex(),
        "target_host_key_hex": target.hex(),
        "algorithm": algorithm,
        "order_hex": order.to_bytes(size, "big").hex(),
        "rejected": n,
        "candidate_hex": c.hex(),
    }


def secret_id(secret):
    prk = hmac.new(SALT, secret, hashlib.sha256).digest()
    return expand(prk, b"secret id\x00", 16)


def secret_id_vectors():
    secrets = [hashlib.sha512(b"secret id %d" % size).digest()[:size] for size in (32, 33, 48, 63, 64)]
    vectors = [{"account_secret_hex": s.hex(), "secret_id_hex": secret_id(s).hex()} for s in secrets]
    return {"spec": "hostkey-derive v1", "vectors": vectors}


if __name__ == "__main__":
    command = sys.argv[1:2]
    if command == ["derive"]:
        for line in sys.stdin:
            print(derive_line(json.loads(line))[0])
    elif command == ["check"] and len(sys.argv) == 3:
        check(sys.argv[2])
    elif command == ["secret-ids"]:
        print(json.dumps(secret_id_vectors(), indent=1))
    elif command == ["rejection"]:
        print(json.dumps(rejection_vectors(), indent=1))
    else:
        sys.exit(__doc__)
