"""paramiko as a client. A line of JSON on standard input is a connection to make, a line on standard output what came of it."""

import hashlib
import json
import sys
import threading

import paramiko


def run(task):
    transport = paramiko.Transport(("127.0.0.1", task["port"]))
    try:
        # Everything that it has, not only what it likes.
        transport.get_security_options().kex = tuple(transport._kex_info)
        transport.get_security_options().ciphers = tuple(transport._cipher_info)
        transport.get_security_options().digests = tuple(transport._mac_info)
        limit = task["limit"]
        transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = limit
        transport.start_client(timeout=limit)
        kind = {
            "ed25519": paramiko.Ed25519Key,
            "ecdsa": paramiko.ECDSAKey,
            "rsa": paramiko.RSAKey,
        }[task["key_kind"]]
        transport.auth_publickey("alice", kind.from_private_key_file(task["key"]))
        channel = transport.open_session(timeout=limit)
        channel.settimeout(limit)
        channel.exec_command(task["command"])
        digest, length = hashlib.sha256(), 0
        while data := channel.recv(65536):
            digest.update(data)
            length += len(data)
        return {"length": length, "sha256": digest.hexdigest(), "status": channel.recv_exit_status()}
    finally:
        transport.close()


def answer(task, lock):
    try:
        result = run(task)
    except Exception as error:
        result = {"error": f"{type(error).__name__}: {error}"}
    with lock:
        print(json.dumps({"id": task["id"], **result}), flush=True)


lock = threading.Lock()
for line in sys.stdin:
    threading.Thread(target=answer, args=(json.loads(line), lock)).start()
