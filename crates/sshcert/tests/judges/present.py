"""Presents certificates to an sshd, whatever is in them, and says which it takes.

Reads JSON from standard input: port, user, the file of the private key, and cases of name, source address, certificate in base64
and files to write beforehand. Prints a JSON object of true and false by name. Attempts that fail share a connection.
"""

import base64
import json
import logging
import socket
import sys

import paramiko

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


def is_accepted(transport, user, key_file, blob):
    key = paramiko.Ed25519Key.from_private_key_file(key_file)
    length = int.from_bytes(blob[:4], "big")
    name = blob[4 : 4 + length].decode("ascii", "replace")
    key.public_blob = paramiko.pkey.PublicBlob(name, blob)
    try:
        transport.auth_publickey(user, key)
    except paramiko.BadAuthenticationType as error:
        raise SystemExit("sshd offers no public keys: %s" % error)
    except paramiko.AuthenticationException:
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
        verdicts[case["name"]] = is_accepted(transport, job["user"], job["key"], blob)
        if verdicts[case["name"]]:
            transport.close()
            transport = None
    if transport is not None:
        transport.close()
    print(json.dumps(verdicts))


if __name__ == "__main__":
    main()
