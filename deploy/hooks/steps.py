"""What the hooks do; each returns the exit code that azd goes by."""

import os
import sys
from collections.abc import Callable

from deploy import commands, deployment, package
from deploy.commands import CommandFailed
from deploy.errors import DeployError
from deploy.package import Target
from deploy.places import PACKAGE
from deploy.probe import app, findings
from deploy.up import PROBED_AFTERWARDS

PROVIDER = "Microsoft.App"
PRIVATE = "USERSYNC_PRIVATE_NETWORKING"
PYTHON = "USERSYNC_PYTHON_VERSION"
# The first start, and no timer: azd waits for its hook.
PATIENCE_S = 120.0


def preprovision() -> int:
    """Register the provider of the delegated subnet, where there will be one."""
    return _told(_register)


def prepackage() -> int:
    """Build the package for the Python of the function app."""
    return _told(_build)


def postdeploy() -> int:
    """Probe, unless `python -m deploy up` does it afterwards and waits longer."""
    return 0 if os.environ.get(PROBED_AFTERWARDS) else _told(_probe)


def _told(step: Callable[[], int]) -> int:
    try:
        return step()
    except DeployError as error:
        print(f"{error.message}\n{error.remedy}", file=sys.stderr)
        return 1


def _register() -> int:
    known = deployment.of_hook()
    if not known.is_on(PRIVATE):
        return 0
    if not known.in_subscription or not commands.has("az"):
        # azd asks for the subscription after this hook; provisioning is not stopped for a check.
        return _not_looked_at()
    shown = ("az", "provider", "show", "--namespace", PROVIDER, "--query", "registrationState")
    try:
        state = commands.ask_json(*shown, *known.in_subscription)
    except CommandFailed as error:
        # azd signs in by itself, and az may not have.
        return _not_looked_at(error.text.strip())
    if state == "Registered":
        return 0
    print(f"Registering {PROVIDER} in the subscription; this takes some minutes.")
    commands.ask(
        "az", "provider", "register", "--namespace", PROVIDER, "--wait", *known.in_subscription
    )
    return 0


def _not_looked_at(why: str = "") -> int:
    print(f"Not looked at: is {PROVIDER} registered? `az provider register -n {PROVIDER} --wait`")
    if why:
        print(why)
    return 0


def _build() -> int:
    version = deployment.of_hook().get(PYTHON) or package.PYTHON
    if version not in package.PYTHONS:
        raise DeployError(
            f"{PYTHON} is {version!r}.", f"Set it to one of {', '.join(package.PYTHONS)}."
        )
    size = package.measure(package.build(PACKAGE, Target(version)))
    print(f"build/app: Python {version}, {size.files:,} files, {size.size_bytes / 1e6:.0f} MB")
    return 0


def _probe() -> int:
    known = deployment.of_hook()
    return findings.show(app.probe(app.App(known.url, known, patience_s=PATIENCE_S)))
