"""`python -m deploy up`: provision, deploy until the roles have arrived, look whether it works."""

import argparse
import re
import time

from deploy import commands, deployment
from deploy.deployment import Deployment
from deploy.errors import DeployError
from deploy.probe import app, findings

RETRIES = 5
# Roles take minutes to reach storage, and the deployment service of a new app some to start:
# github.com/Azure/azure-dev/issues/8026, github.com/Azure/functions-action/issues/390
NOT_YET = re.compile(
    r"\b(403|503)\b|Forbidden|Service Unavailable|InaccessibleStorage", re.IGNORECASE
)
# The timer fires every five minutes.
PATIENCE_S = 420.0
PROBED_AFTERWARDS = "USERSYNC_PROBED_AFTERWARDS"

NEXT = """
The app stands at {url}

Next:
{steps}
"""
ENTRA = """  1. The registration in Entra, once; no secret is made. It needs no Azure role, but the Entra role
     Application Developer where the tenant does not let everybody register applications:
         python -m deploy entra
     `--what-if` prints every call. Another person, without azd and a role in Azure, does it with
         az login --tenant {tenant} --allow-no-subscriptions
         python -m deploy entra --url {url} --tenant {tenant} \\
                 --identity {identity} --key {key} --administrator <object id>
     Then switch it on:
         python -m deploy up"""
CONNECT = """  1. A token, for about an hour:
         TOKEN=$(az account get-access-token --query accessToken -o tsv --tenant {tenant} \\
                 --scope "api://{client_id}/user_impersonation")
     then connect a tenant: docs/connect.md, with URL={url}"""
LATER = """  2. Let your monitoring ask {url}/api/health{how}, and read docs/operate.md once."""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-prompt", action="store_true", help="ask nothing: for workflows")
    parser.add_argument("--pause", type=float, default=60.0, help=argparse.SUPPRESS)
    parser.add_argument(
        "--wait",
        type=float,
        default=PATIENCE_S,
        metavar="SECONDS",
        help="how long the probe waits for the first start and the timer (default: %(default)g)",
    )


def run(options: argparse.Namespace) -> int:
    """Provision, deploy and probe; return 1 where the probe has found something."""
    quiet = ("--no-prompt",) if options.no_prompt else ()
    # Apart from the deployment: whatever changes a site restarts it.
    commands.hand_over("azd", "provision", *quiet)
    _deploy(options.pause)
    known = deployment.read()
    code = findings.show(
        app.probe(app.App(known.url, known, patience_s=options.wait, pause_s=options.pause / 4))
    )
    print(_next(known))
    return code


def _deploy(pause_s: float) -> None:
    for attempt in range(RETRIES + 1):
        shown = commands.show("azd", "deploy", "--no-prompt", env={PROBED_AFTERWARDS: "true"})
        if shown.code == 0:
            return
        if attempt == RETRIES or not NOT_YET.search(shown.text):
            break
        print(
            f"Azure is not ready for it yet; try {attempt + 2} of {RETRIES + 1} in {pause_s:g} s."
        )
        time.sleep(pause_s)
    raise DeployError(
        "`azd deploy` failed, see above.",
        "403 or 503 after six tries: the roles are wrong, or the app resource is stuck; "
        "docs/operate.md tells how to move to a new app name without loss. Anything else: correct it and "
        "run this again.",
    )


def _next(known: Deployment) -> str:
    first = CONNECT if known.api_client_id else ENTRA
    how = " with a reader's token" if known.get(app.WALL) == "Return401" else ""
    steps = f"{first}\n{LATER}".format(
        url=known.url,
        client_id=known.api_client_id,
        tenant=known.get("AZURE_TENANT_ID"),
        identity=known.get("AZURE_IDENTITY_PRINCIPAL_ID"),
        key=known.get("AZURE_IDENTITY_NAME"),
        how=how,
    )
    return NEXT.format(url=known.url, steps=steps)
