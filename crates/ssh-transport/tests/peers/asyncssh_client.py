"""asyncssh as a client. A line of JSON on standard input is a connection to make, a line on standard output what came of it."""

import asyncio
import hashlib
import json
import sys

import asyncssh
from asyncssh.encryption import get_encryption_algs
from asyncssh.kex import get_kex_algs
from asyncssh.mac import get_mac_algs
from asyncssh.public_key import get_public_key_algs


def names(algorithms):
    return [name.decode() for name in algorithms]


async def run(task):
    async with asyncssh.connect(
        "127.0.0.1",
        task["port"],
        username="alice",
        config=None,
        known_hosts=None,
        agent_path=None,
        client_keys=[task["key"]],
        # Everything that it has, not only what it likes.
        kex_algs=names(get_kex_algs()),
        encryption_algs=names(get_encryption_algs()),
        mac_algs=names(get_mac_algs()),
        server_host_key_algs=names(get_public_key_algs()),
        # Keys are exchanged again after this many bytes.
        rekey_bytes=100_000,
        connect_timeout=task["limit"],
        login_timeout=task["limit"],
    ) as connection:
        result = await connection.run(task["command"], encoding=None, timeout=task["limit"])
        digest = hashlib.sha256(result.stdout).hexdigest()
        return {"length": len(result.stdout), "sha256": digest, "status": result.exit_status}


async def answer(task):
    try:
        result = await run(task)
    except Exception as error:
        result = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps({"id": task["id"], **result}), flush=True)


async def main():
    tasks = set()
    while line := await asyncio.to_thread(sys.stdin.readline):
        tasks.add(asyncio.create_task(answer(json.loads(line))))
    await asyncio.gather(*tasks)


asyncio.run(main())
