"""HPKE base mode, receiving (RFC 9180), with the KEMs of the format.

`cryptography` has HPKE too, without the additional authenticated data that a stanza binds.
"""

import hashlib
import hmac
import struct

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

X_WING, X25519, P256, P384 = 0x647A, 0x0020, 0x0010, 0x0011
KDFS = {1: ("sha256", hashes.SHA256), 2: ("sha384", hashes.SHA384)}
AEADS = {2: AESGCM, 3: ChaCha20Poly1305}
SUITES = {(1, 2), (2, 2), (1, 3)}


class Labeled:
    """LabeledExtract and LabeledExpand of section 4."""

    def __init__(self, kdf, suite_id):
        self.name, self.algorithm = KDFS[kdf]
        self.prefix = b"HPKE-v1" + suite_id

    def extract(self, salt, label, ikm):
        return hmac.new(salt, self.prefix + label + ikm, self.name).digest()

    def expand(self, prk, label, info, length):
        info = struct.pack(">H", length) + self.prefix + label + info
        return HKDFExpand(self.algorithm(), length, info).derive(prk)


class PrivateKey:
    """A private key by its KEM: its public half, and what it makes of an encapsulated key."""

    def __init__(self, kem, private):
        self.kem = kem
        if kem == X_WING:
            expanded = hashlib.shake_256(private).digest(96)
            self.ml_kem = MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
            self.key = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
            self.public_x = self.key.public_key().public_bytes_raw()
            self.public = self.ml_kem.public_key().public_bytes_raw() + self.public_x
        elif kem == X25519:
            self.key = x25519.X25519PrivateKey.from_private_bytes(private)
            self.public = self.key.public_key().public_bytes_raw()
        else:
            self.curve = ec.SECP256R1() if kem == P256 else ec.SECP384R1()
            self.key = ec.derive_private_key(int.from_bytes(private, "big"), self.curve)
            numbers, size = self.key.public_key().public_numbers(), len(private)
            self.public = b"\4" + numbers.x.to_bytes(size, "big") + numbers.y.to_bytes(size, "big")

    def decapsulate(self, enc):
        if self.kem == X_WING:
            # draft-connolly-cfrg-xwing-kem: ML-KEM-768 ciphertext, then an X25519 public key.
            ct_m, ct_x = enc[:1088], enc[1088:]
            ss_m = self.ml_kem.decapsulate(ct_m)
            ss_x = self.key.exchange(x25519.X25519PublicKey.from_public_bytes(ct_x))
            return hashlib.sha3_256(ss_m + ss_x + ct_x + self.public_x + b"\\.//^\\").digest()
        if self.kem == X25519:
            dh = self.key.exchange(x25519.X25519PublicKey.from_public_bytes(enc))
        else:
            dh = self.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(self.curve, enc))
        kdf, length = (2, 48) if self.kem == P384 else (1, 32)
        labeled = Labeled(kdf, b"KEM" + struct.pack(">H", self.kem))
        prk = labeled.extract(b"", b"eae_prk", dh)
        return labeled.expand(prk, b"shared_secret", enc + self.public, length)


def open_base(key, kdf, aead, enc, info, aad, ct):
    """The plaintext, or an exception of whatever did not fit."""
    labeled = Labeled(kdf, b"HPKE" + struct.pack(">HHH", key.kem, kdf, aead))
    shared_secret = key.decapsulate(enc)
    context = b"\0" + labeled.extract(b"", b"psk_id_hash", b"") + labeled.extract(b"", b"info_hash", info)
    secret = labeled.extract(shared_secret, b"secret", b"")
    aead_key = labeled.expand(secret, b"key", context, 32)
    nonce = labeled.expand(secret, b"base_nonce", context, 12)
    return AEADS[aead](aead_key).decrypt(nonce, ct, aad)
