"""`python -m deploy probe`: the app from outside, or with `--graph` a tenant as a connection sees it."""

import argparse
import os
from pathlib import Path

from deploy import deployment
from deploy.probe import app, findings

TOKEN = "TOKEN"  # noqa: S105 -- its name


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        f"A token for the API is taken from {TOKEN} in the environment, else from the Azure CLI."
    )
    parser.add_argument(
        "--url", help="address of the function app (default: of the azd environment)"
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how long the app may be starting, and the timer be silent",
    )
    parser.add_argument("--pause", type=float, default=15.0, help=argparse.SUPPRESS)
    parser.add_argument(
        "--graph",
        metavar="CONNECTION",
        help="ask the tenant of this connection what we assume of Microsoft Graph",
    )
    parser.add_argument(
        "--report", type=Path, metavar="FILE", help="with --graph: write the report there as well"
    )


def run(options: argparse.Namespace) -> int:
    """Look, and print what was found; 1 where something is not as it should be."""
    known = deployment.read()
    if options.graph:
        # It alone uses the packages of the app.
        from deploy.probe import tenant  # noqa: PLC0415

        return tenant.run(options.graph, known, options.report)
    looked_at = app.App(
        (options.url or known.url).rstrip("/"),
        known,
        os.environ.get(TOKEN),
        options.wait,
        options.pause,
    )
    return findings.show(app.probe(looked_at))
