"""Presents certificates to an sshd, whatever is in them, and says which it takes.

Reads JSON from standard input: port, user, the file of the private key, and cases of name, source address, certificate in base64,
files to write beforehand, and the flags of a token when the key is to sign as one. Prints a JSON object of true and false by name.
Attempts that fail share a connection. Only the server's own no counts as one: anything else ends it all.
"""

import base64
import hashlib
import json
import logging
import socket
import sys

import paramiko
from cryptography.hazmat.primitives.serialization import load_ssh_private_key

logging.getLogger("paramiko").setLevel(logging.CRITICAL)
SECONDS = 120


def connect(source, port):
    server = "::1" if ":" in source else "127.0.0.1"
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    sock = socket.socket(family)
    sock.settimeout(SECONDS)
    sock.bind((source, 0))
    sock.connect((server, port))
    transport = paramiko.Transport(sock)
    transport.banner_timeout = transport.auth_timeout = transport.handshake_timeout = SECONDS
    transport.start_client(timeout=SECONDS)
    return transport


class Token(paramiko.PKey):
    """An Ed25519 key that signs as a FIDO token does (PROTOCOL.u2f)."""

    def __init__(self, key_file, flags):
        with open(key_file, "rb") as file:
            self.key = load_ssh_private_key(file.read(), None)
        self.flags = bytes([flags])

    def sign_ssh_data(self, data, algorithm=None):
        counter = (1).to_bytes(4, "big")
        hashed = hashlib.sha256(data).digest()
        application = hashlib.sha256(b"ssh:").digest()
        signature = self.key.sign(application + self.flags + counter + hashed)
        message = paramiko.Message()
        message.add_string("sk-ssh-ed25519@openssh.com")
        message.add_string(signature)
        message.add_bytes(self.flags + counter)
        return message


def is_accepted(transport, user, key_file, token_flags, blob):
    if token_flags is None:
        key = paramiko.Ed25519Key.from_private_key_file(key_file)
    else:
        key = Token(key_file, token_flags)
    length = int.from_bytes(blob[:4], "big")
    name = blob[4 : 4 + length].decode("ascii", "replace")
    key.public_blob = paramiko.pkey.PublicBlob(name, blob)
    try:
        transport.auth_publickey(user, key)
    except paramiko.BadAuthenticationType as error:
        raise SystemExit("sshd offers no public keys: %s" % error)
    except paramiko.AuthenticationException as error:
        if not transport.is_active() or str(error) != "Authentication failed.":
            raise SystemExit("sshd gave no answer: %s" % error)
        return False
    return transport.is_authenticated()


def main():
    job = json.load(sys.stdin)
    verdicts, open_to, transport = {}, None, None
    for case in job["cases"]:
        for path, content in case["files"].items():
            with open(path, "wb") as file:
                file.write(base64.b64decode(content))
        if transport is None or open_to != case["source"] or not transport.is_active():
            if transport is not None:
                transport.close()
            transport, open_to = connect(case["source"], job["port"]), case["source"]
        blob = base64.b64decode(case["certificate"])
        verdicts[case["name"]] = is_accepted(
            transport, job["user"], job["key"], case["token_flags"], blob
        )
        if verdicts[case["name"]]:
            transport.close()
            transport = None
    if transport is not None:
        transport.close()
    print(json.dumps(verdicts))


if __name__ == "__main__":
    main()
