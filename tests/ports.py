"""Ports for programs that have to be told one."""

import random
import socket

# Below those that the kernel gives to connections: between the choice and the start, one of the many
# that tests open would take a port of theirs.
PORTS = range(20_000, 30_000)


def free_port() -> int:
    for port in random.SystemRandom().sample(PORTS, 100):
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise AssertionError("none of a hundred ports is free")
