"""`python -m deploy package|up|entra|probe`; `--help` of each tells its options."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy import package, up
from deploy.entra import command as entra
from deploy.errors import DeployError
from deploy.package import LINUX, PYTHONS, Target
from deploy.places import PACKAGE
from deploy.probe import command as probe


def main(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy", description=__doc__)
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="COMMAND")
    _package_options(kinds.add_parser("package", help="fill build/app with what goes to Azure"))
    up.add_options(kinds.add_parser("up", help="provision, deploy, probe"))
    entra.add_options(kinds.add_parser("entra", help="the registrations in Entra"))
    probe.add_options(kinds.add_parser("probe", help="look from outside whether it works"))
    options = parser.parse_args(arguments)
    run = {"package": _package, "up": up.run, "entra": entra.run, "probe": probe.run}
    try:
        return run[options.kind](options)
    except DeployError as error:
        print(f"{error.message}\n{error.remedy}", file=sys.stderr)
        return 1


def _package_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--python", choices=PYTHONS, default=package.PYTHON)
    parser.add_argument("--platform", default=LINUX, help="of the wheels, as uv calls it")
    parser.add_argument("--folder", type=Path, default=PACKAGE)


def _package(options: argparse.Namespace) -> int:
    folder = package.build(options.folder, Target(options.python, options.platform))
    size = package.measure(folder)
    print(f"{folder}: {size.files:,} files, {size.size_bytes / 1_000_000:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
