"""Command line of the Graph emulator: ports, TLS files and a size in, a running emulator out."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from local.graph.emulator import GraphEmulator
from local.tls import TlsFiles


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m local.graph", description=__doc__)
    parser.add_argument("--graph-port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--authority-port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--cert", type=Path, required=True, help="PEM, the server's certificate")
    parser.add_argument("--key", type=Path, required=True, help="PEM, its key")
    parser.add_argument("--ca-file", type=Path, help="PEM, the root trusted for webhooks")
    parser.add_argument("--people", type=_size(10, 1_000_000), default=300)
    parser.add_argument("--groups", type=_size(1, 10_000), default=12)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    # The rig's certificates lie in one folder: local/tls.py.
    ca_file = given.ca_file or given.cert.with_name("bundle.pem")
    try:
        emulator = GraphEmulator(
            people=given.people,
            groups=given.groups,
            seed=given.seed,
            tls=TlsFiles(ca_file, ca_file, given.cert, given.key),
            graph_port=given.graph_port,
            authority_port=given.authority_port,
        )
    except OSError as error:
        print(f"Cannot listen: {error}", file=sys.stderr)
        return 1
    asyncio.run(_serve(emulator, given.people, given.groups))
    return 0


async def _serve(emulator: GraphEmulator, people: int, groups: int) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, emulator.stop)
    serving = asyncio.create_task(emulator.serve())
    await emulator.ready()
    print(
        f"Graph emulator ready: {emulator.graph_url} (login {emulator.authority_url}), "
        f"{people} people, {groups} groups",
        flush=True,
    )
    await serving


def _size(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text)
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"must be {least} to {most}")
        return number

    return read


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
