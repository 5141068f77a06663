"""The steps: each looks, writes what is missing, and says what it did."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from deploy.entra import documents
from deploy.entra.documents import Document
from deploy.entra.graph import Graph, Refused
from deploy.errors import DeployError

TO_REGISTER = (
    "Let somebody run it who has the Entra role Application Developer (or Cloud Application Administrator): "
    "this tenant does not let everybody register applications."
)
TO_CHANGE = (
    "Let an owner of the registration run it, or somebody with the Entra role Cloud Application "
    "Administrator."
)
TO_ASSIGN = (
    "Let an owner of the registration run it, or somebody with the Entra role Cloud Application "
    "Administrator (or Privileged Role Administrator)."
)
TO_GRANT = (
    "Let somebody run it who has the Entra role Privileged Role Administrator: it alone may grant "
    "permissions of Microsoft Graph. Everything before this step is done and stays."
)


@dataclass(frozen=True, slots=True)
class Place:
    """What is registered, and for whom; all of it from the deployment, or from options."""

    name: str
    """Of the environment, for people."""
    key: str
    """What tells this deployment from another one in the same tenant."""
    url: str
    tenant_id: str
    principal_id: str
    """Of the app's managed identity."""
    login_url: str
    audience: str
    """Of a token of an identity that stands for an application, in this cloud."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A registration that is complete."""

    app_id: str
    consent_url: str = ""


def register_api(graph: Graph, place: Place, adopt: str | None, administrator: str) -> Registered:
    """Make the registration that guards the API, and assign `Sync.Admin` to one person or program."""
    key = f"usersync-api-{place.key}"
    if adopt and _by_name(graph, key) is None:
        named = {"uniqueName": key}
        graph.patch(f"applications(appId='{adopt}')", named, TO_CHANGE)
    wanted = documents.api(place.name, place.url)
    application = _application(graph, key, wanted)
    app_id = str(application["appId"])
    completed = documents.completed(app_id, documents.scope_id(application))
    _change(graph, application, completed, "identifier, and the Azure CLI as a client")
    principal = _principal(graph, app_id, {"appRoleAssignmentRequired": True})
    _trust(graph, application, place)
    role = documents.role_id(application, documents.ADMIN)
    if _assign(graph, administrator, principal, role, TO_ASSIGN):
        _say(graph, f"assigned {documents.ADMIN} to {administrator}")
    return Registered(app_id)


def register_reader(graph: Graph, place: Place, permissions: Sequence[str]) -> Registered:
    """Make the registration that other tenants consent to: it reads there, and signs by the identity."""
    ids = _permission_ids(graph, permissions)
    wanted = documents.reader(place.name, place.url, ids)
    application = _application(graph, f"usersync-reader-{place.key}", wanted)
    _principal(graph, str(application["appId"]), {})
    _trust(graph, application, place)
    query = {
        "client_id": application["appId"],
        "scope": f"{graph.url}/.default",
        "redirect_uri": place.url + documents.CONSENTED,
    }
    link = f"{place.login_url}/organizations/v2.0/adminconsent?{urlencode(query)}"
    return Registered(str(application["appId"]), link)


def grant_to_identity(graph: Graph, place: Place, permissions: Sequence[str]) -> None:
    """Let the managed identity itself read the tenant in which it lives."""
    ids, graph_id = _permission_ids(graph, permissions), str(_graph_itself(graph)["id"])
    for name, role in ids.items():
        if _assign(graph, place.principal_id, {"id": graph_id}, role, TO_GRANT):
            _say(graph, f"granted {name} to the managed identity")


def whoami(graph: Graph) -> str:
    """Return the object id of who is signed in; a program has to be named instead."""
    try:
        me = graph.find("me") or {}
    except Refused as refused:
        if refused.status != 400:
            raise
        me = {}
    if "id" not in me:
        raise DeployError(
            "The token for Graph is a program's, and not a person's.",
            "Name who becomes the first administrator: --administrator <object id>.",
        )
    return str(me["id"])


def _by_name(graph: Graph, key: str) -> Document | None:
    return graph.find(f"applications(uniqueName='{key}')")


def _application(graph: Graph, key: str, wanted: Document) -> Document:
    found = _by_name(graph, key)
    if found is None:
        made = graph.upsert(f"applications(uniqueName='{key}')", wanted, TO_REGISTER)
        _say(graph, f"registered {wanted['displayName']}")
        return made
    _change(graph, found, wanted, f"brought {found['displayName']} up to date")
    return documents.merged(found, documents.missing(found, wanted))


def _change(graph: Graph, application: Document, wanted: Document, done: str) -> None:
    changes = documents.missing(application, wanted)
    if changes:
        graph.patch(f"applications/{application['id']}", changes, TO_CHANGE)
        _say(graph, done)


def _principal(graph: Graph, app_id: str, wanted: Document) -> Document:
    path = f"servicePrincipals(appId='{app_id}')"
    found = graph.find(path)
    if found is None:
        made = graph.upsert(path, wanted, TO_REGISTER)
        _say(graph, "made its enterprise application")
        return made
    changes = documents.missing(found, wanted)
    if changes:
        graph.patch(f"servicePrincipals/{found['id']}", changes, TO_CHANGE)
        _say(graph, "brought its enterprise application up to date")
    return found


def _trust(graph: Graph, application: Document, place: Place) -> None:
    wanted = documents.federated(
        place.tenant_id, place.principal_id, place.login_url, place.audience
    )
    path = f"applications/{application['id']}/federatedIdentityCredentials"
    for found in graph.listed(path):
        if (found["issuer"], found["subject"]) == (wanted["issuer"], wanted["subject"]):
            return
        if found["name"] == wanted["name"]:
            # The identity was made anew, with its resource group: its name is the same, and its id is not.
            graph.patch(f"{path}/{found['id']}", wanted, TO_CHANGE)
            _say(graph, "lets the new managed identity stand for it")
            return
    graph.post(path, wanted, TO_CHANGE)
    _say(graph, "lets the managed identity stand for it, so that it needs no secret")


def _assign(graph: Graph, who: str, resource: Document, role: str, remedy: str) -> bool:
    """Assign a role where it is not yet; whether anything had to be done."""
    path = f"servicePrincipals/{resource['id']}/appRoleAssignedTo"
    for found in graph.listed(path):
        if (found["principalId"], found["appRoleId"]) == (who, role):
            return False
    wanted = {"principalId": who, "resourceId": resource["id"], "appRoleId": role}
    try:
        graph.post(path, wanted, remedy)
    except Refused as refused:
        # The list lags behind: Request_BadRequest, "Permission being assigned already exists on the object".
        if "already exists" not in refused.message:
            raise
        return False
    return True


def _graph_itself(graph: Graph) -> Document:
    found = graph.find(f"servicePrincipals(appId='{documents.GRAPH}')?$select=id,appRoles")
    if found is None:
        raise DeployError(
            "The tenant has no service principal of Microsoft Graph.",
            "Sign in to it once with Graph Explorer (aka.ms/ge), then try again.",
        )
    return found


def _permission_ids(graph: Graph, names: Sequence[str]) -> dict[str, str]:
    known = {role["value"]: role["id"] for role in _graph_itself(graph)["appRoles"]}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise DeployError(
            f"Microsoft Graph has no application permission {', '.join(unknown)}.",
            "Take the names from learn.microsoft.com/graph/permissions-reference, with commas between.",
        )
    return {name: str(known[name]) for name in names}


def _say(graph: Graph, done: str) -> None:
    if not graph.what_if:
        print(f"  {done}")
