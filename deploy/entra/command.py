"""`python -m deploy entra`: options in, registrations out."""

import argparse
import os

from deploy import clouds, commands, deployment
from deploy.deployment import Deployment
from deploy.entra import documents, registrations
from deploy.entra.graph import Graph
from deploy.entra.registrations import Place

TOKEN = "GRAPH_TOKEN"  # noqa: S105 -- its name
SETTING = "USERSYNC_API_CLIENT_ID"
READER = """  client id {app_id}
  Make a connection with it ("credential": {{"kind": "federated"}}, no tenant). Then ask for the link that the
  other tenant's administrator follows; it is good once, for half an hour:
      curl -s -o /dev/null -w '%{{redirect_url}}\\n' -H "$AUTH" "{url}/api/consent/start?connection=<id>"
  The consent alone, which connects nothing: {link}"""


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--what-if", action="store_true", help="print the calls that would be sent")
    parser.add_argument("--administrator", metavar="ID", help="object id of the first Sync.Admin")
    parser.add_argument("--adopt", metavar="CLIENT_ID", help="take a registration made by hand")
    parser.add_argument(
        "--graph", action="store_true", help="let the managed identity read its own tenant"
    )
    parser.add_argument(
        "--reader", action="store_true", help="a registration that other tenants can consent to"
    )
    parser.add_argument(
        "--permissions",
        default=",".join(documents.PERMISSIONS),
        help="application permissions of Microsoft Graph for --graph and --reader (default: %(default)s)",
    )
    parser.add_argument("--url", help="address of the function app")
    parser.add_argument("--tenant", help="id of the tenant of the deployment")
    parser.add_argument("--identity", metavar="ID", help="object id of the managed identity")
    parser.add_argument("--key", help="what tells this deployment from others in the tenant")
    parser.add_argument("--pause", type=float, default=5.0, help=argparse.SUPPRESS)


def run(options: argparse.Namespace) -> int:
    """Make or complete the registrations, and say what comes next."""
    known = deployment.read()
    place = _place(options, known)
    graph = Graph(
        clouds.current().graph_url, _token(place.tenant_id), options.what_if, options.pause
    )
    administrator = options.administrator or registrations.whoami(graph)
    permissions = [one.strip() for one in options.permissions.split(",") if one.strip()]
    _say(options, "The API:")
    api = registrations.register_api(graph, place, options.adopt, administrator)
    if options.reader:
        _say(options, "What reads other tenants:")
        reader = registrations.register_reader(graph, place, permissions)
        _say(options, READER.format(app_id=reader.app_id, url=place.url, link=reader.consent_url))
    if options.graph:
        _say(options, "The managed identity:")
        registrations.grant_to_identity(graph, place, permissions)
    if options.what_if:
        print(f"{graph.writes} calls would be sent, nothing was.")
        return 0
    print("Nothing had to be changed." if not graph.writes else f"{graph.writes} changes.")
    _say_next(known, api.app_id)
    return 0


def _place(options: argparse.Namespace, known: Deployment) -> Place:
    cloud = clouds.current()
    return Place(
        name=known.get("AZURE_ENV_NAME") or options.key or "usersync",
        key=options.key or known.need("AZURE_IDENTITY_NAME"),
        url=(options.url or known.url).rstrip("/"),
        tenant_id=options.tenant or known.need("AZURE_TENANT_ID"),
        principal_id=options.identity or known.need("AZURE_IDENTITY_PRINCIPAL_ID"),
        login_url=cloud.login_url,
        audience=cloud.audience,
    )


def _token(tenant_id: str) -> str:
    given = os.environ.get(TOKEN)
    if given:
        return given
    command = ("az", "account", "get-access-token", "--resource-type", "ms-graph")
    return str(commands.ask_json(*command, "--tenant", tenant_id)["accessToken"])


def _say(options: argparse.Namespace, text: str) -> None:
    if not options.what_if:
        print(text)


def _say_next(known: Deployment, app_id: str) -> None:
    if known.api_client_id == app_id:
        return
    if known.values and commands.has("azd"):
        deployment.keep(SETTING, app_id)
        print(f"Kept {SETTING}={app_id} in the azd environment. Now switch the sign-in on:")
    else:
        print(
            f"Now switch the sign-in on, where the azd environment is:\n  azd env set {SETTING} {app_id}"
        )
    print("  python -m deploy up")
