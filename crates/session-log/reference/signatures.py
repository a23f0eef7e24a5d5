"""Suites (section 2) and signatures (section 8)."""

import hashlib
import hmac
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

# --- section 2: suites -------------------------------------------------------------------------------------------------------

ED25519 = (1, 32, 64, b"ssh-ed25519", None)
P256 = (2, 65, 64, b"ecdsa-sha2-nistp256", b"nistp256")
P384 = (3, 97, 96, b"ecdsa-sha2-nistp384", b"nistp384")
SIGNATURES = {s[3]: s for s in (ED25519, P256, P384)}


class Suite:
    def __init__(self, digest, aead, signature, message_hash):
        self.digest, self.aead, self.signature, self.message_hash = digest, aead, signature, message_hash
        self.nh = hashlib.new(digest).digest_size

    def h(self, data):
        return hashlib.new(self.digest, data).digest()

    def expand(self, prk, label, context=b"", length=None):
        algorithm = hashes.SHA256() if self.digest == "sha256" else hashes.SHA384()
        info = b"sslg1 " + label + b"\0" + context
        return HKDFExpand(algorithm, length or self.nh, info).derive(prk)

    def extract(self, salt, ikm):
        return hmac.new(salt, ikm, self.digest).digest()


SUITES = {
    0x0001: Suite("sha256", ChaCha20Poly1305, ED25519, b"sha256"),
    0x0002: Suite("sha256", AESGCM, ED25519, b"sha256"),
    0x0101: Suite("sha256", AESGCM, P256, b"sha256"),
    0x0102: Suite("sha384", AESGCM, P384, b"sha512"),
}


# --- section 8: signatures ---------------------------------------------------------------------------------------------------

def string(data):
    return struct.pack(">I", len(data)) + data


def mpint(number):
    data = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return string(b"\0" + data if data[:1] >= b"\x80" else data)


def preimage(suite, message):
    digest = hashlib.new(suite.message_hash.decode(), message).digest()
    return b"SSHSIG" + string(b"sslg1") + string(b"") + string(suite.message_hash) + string(digest)


def key_blob(algorithm, public):
    curve = string(algorithm[4]) if algorithm[4] else b""
    return string(algorithm[3]) + curve + string(public)


def sshsig_blob(suite, algorithm, public, signature):
    half = len(signature) // 2
    inner = signature
    if algorithm is not ED25519:
        inner = mpint(int.from_bytes(signature[:half], "big")) + mpint(int.from_bytes(signature[half:], "big"))
    return (b"SSHSIG" + struct.pack(">I", 1) + string(key_blob(algorithm, public)) + string(b"sslg1") + string(b"")
            + string(suite.message_hash) + string(string(algorithm[3]) + string(inner)))


class Wire:
    def __init__(self, data):
        self.data = data

    def take(self, count):
        if count > len(self.data):
            raise ValueError("cut")
        taken, self.data = self.data[:count], self.data[count:]
        return taken

    def string(self):
        return self.take(struct.unpack(">I", self.take(4))[0])


def parse_sshsig(suite, blob):
    """Algorithm, public key and signature of a blob that is exactly what these make of it, or None."""
    try:
        wire = Wire(blob)
        wire.take(10)
        key = Wire(wire.string())
        algorithm = SIGNATURES[key.string()]
        if algorithm[4]:
            key.string()
        public = key.string()
        for _ in range(3):
            wire.string()
        signed = Wire(wire.string())
        signed.string()
        signature = signed.string()
        if algorithm is not ED25519:
            numbers = Wire(signature)
            half = algorithm[2] // 2
            signature = b"".join(int.from_bytes(numbers.string(), "big").to_bytes(half, "big") for _ in range(2))
    except (ValueError, KeyError, OverflowError, struct.error):
        return None
    if len(public) != algorithm[1] or len(signature) != algorithm[2]:
        return None
    if blob != sshsig_blob(suite, algorithm, public, signature):
        return None
    return algorithm, public, signature


ORDERS = {
    P256: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    P384: 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}
# Encodings of the points of small order of edwards25519 (RFC 8032 verifiers that are strict refuse them).
SMALL_ORDER = {bytes.fromhex(point) for point in (
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
)}


def verifies(suite, algorithm, public, message, signature):
    data = preimage(suite, message)
    try:
        if algorithm is ED25519:
            if public in SMALL_ORDER or signature[:32] in SMALL_ORDER:
                return False
            ed25519.Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
            return True
        curve, digest = (ec.SECP256R1(), hashes.SHA256()) if algorithm is P256 else (ec.SECP384R1(), hashes.SHA384())
        half = len(signature) // 2
        r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        if s > ORDERS[algorithm] // 2:
            return False
        key = ec.EllipticCurvePublicKey.from_encoded_point(curve, public)
        key.verify(utils.encode_dss_signature(r, s), data, ec.ECDSA(digest))
        return True
    except (InvalidSignature, ValueError):
        return False
