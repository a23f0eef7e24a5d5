"""asyncssh as a server that lets in whoever has a key and sends back what it gets. Arguments: a limit in seconds, host key files. Prints its port."""

import asyncio
import sys

import asyncssh
from asyncssh.encryption import get_encryption_algs
from asyncssh.kex import get_kex_algs
from asyncssh.mac import get_mac_algs


def names(algorithms):
    return [name.decode() for name in algorithms]


class Server(asyncssh.SSHServer):
    def public_key_auth_supported(self):
        return True

    def begin_auth(self, username):
        return True

    def validate_public_key(self, username, key):
        return True


async def echo(process):
    while data := await process.stdin.read(65536):
        process.stdout.write(data)
        await process.stdout.drain()
    process.exit(0)


async def main():
    acceptor = await asyncssh.create_server(
        Server,
        "127.0.0.1",
        0,
        server_host_keys=sys.argv[2:],
        process_factory=echo,
        login_timeout=int(sys.argv[1]),
        encoding=None,
        kex_algs=names(get_kex_algs()),
        encryption_algs=names(get_encryption_algs()),
        mac_algs=names(get_mac_algs()),
        # Keys are exchanged again after this many bytes.
        rekey_bytes=100_000,
    )
    print(acceptor.get_port(), flush=True)
    await acceptor.wait_closed()


asyncio.run(main())
