"""paramiko as a server that lets in whoever has a key and sends back what it gets. Arguments: a limit in seconds, host key files. Prints its port."""

import socket
import sys
import threading

import paramiko
from paramiko.packet import Packetizer

# Keys are exchanged again after this many bytes: more than the other side's limit, so that both do not begin at once.
Packetizer.REKEY_BYTES = 250_000


# Groups for the key exchange in which a server chooses one; they come with OpenSSH.
HAS_GROUPS = paramiko.Transport.load_server_moduli()


def load(file):
    for kind in (paramiko.Ed25519Key, paramiko.ECDSAKey, paramiko.RSAKey):
        try:
            return kind.from_private_key_file(file)
        except (paramiko.SSHException, ValueError):
            pass
    raise SystemExit(f"cannot read {file}")


class Server(paramiko.ServerInterface):
    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username):
        return "publickey"

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        threading.Thread(target=echo, args=(channel,), daemon=True).start()
        return True


def echo(channel):
    while data := channel.recv(65536):
        channel.sendall(data)
    channel.send_exit_status(0)
    channel.close()


def serve(connection, keys):
    transport = paramiko.Transport(connection)
    transport.banner_timeout = transport.handshake_timeout = transport.auth_timeout = float(sys.argv[1])
    transport.get_security_options().kex = tuple(name for name in transport._kex_info if HAS_GROUPS or "exchange" not in name)
    transport.get_security_options().ciphers = tuple(transport._cipher_info)
    transport.get_security_options().digests = tuple(transport._mac_info)
    for key in keys:
        transport.add_server_key(key)
    try:
        transport.start_server(server=Server())
        transport.join()
    except (paramiko.SSHException, EOFError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)


listener = socket.create_server(("127.0.0.1", 0), backlog=64)
print(listener.getsockname()[1], flush=True)
host_keys = [load(file) for file in sys.argv[2:]]
while True:
    accepted, _ = listener.accept()
    threading.Thread(target=serve, args=(accepted, host_keys), daemon=True).start()
