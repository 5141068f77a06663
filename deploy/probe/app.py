"""The app as it stands in Azure, from outside: who gets in, whether Graph is answered, what runs."""

import ast
import base64
import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import quote

from deploy import commands, https
from deploy.commands import CommandFailed
from deploy.deployment import Deployment
from deploy.errors import DeployError
from deploy.places import ROOT
from deploy.probe.findings import Finding, fails, ok, unknown

GUARDED = "/api/connections"
READABLE = "/api/health/details"
WEBHOOKS = ("/api/graph/notifications", "/api/graph/lifecycle")
# The choice of what App Service does with a call without a token: `Return401` refuses health as well.
WALL = "USERSYNC_UNAUTHENTICATED_ACTION"
# Graph gives up on a handshake after so long: change-notifications-delivery-webhooks
HANDSHAKE_S = 10.0
NOT_ASSIGNED = (
    "Who runs this has to be assigned Sync.Reader or Sync.Admin, and the registration to know the Azure CLI: "
    "`python -m deploy entra` does both."
)
SIGN_IN = (
    "Sign in to the tenant of the subscription (`az login --tenant ...`), and choose it with "
    "`az account set --subscription ...`."
)
# Log Analytics shows what was logged some minutes later.
LOGGED_MINUTES = 30
# Not a look by a request in the timer's place.
TICK = "schedule.checked clock=timer "
OPEN = (
    "ANYBODY MAY BE AN ADMINISTRATOR. Stop the app: `az functionapp stop`. Was WEBSITE_AUTH_ENABLED set by "
    "hand? Take it out: it is App Service's own."
)
BEGIN_AGAIN = "`az functionapp restart`, then probe again: a sign-in counts from the next start on."


@dataclass(frozen=True, slots=True)
class App:
    """The app to look at, what is known of its deployment, and a token of the reader, if there is one."""

    url: str
    known: Deployment
    token: str | None = None
    patience_s: float = 0.0
    """For how long the app may be starting, and the timer be silent."""
    pause_s: float = 15.0

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> https.Answer:
        return https.send("GET", self.url + path, headers=headers)


def probe(app: App) -> Iterator[Finding]:
    """Yield every finding, in the order in which a fault would matter."""
    answers = _answers(app)
    yield answers
    if answers.verdict != "ok":
        return
    looks: list[Callable[[App], Finding]] = [_forged, _nobody, _signed_in]
    looks += [partial(_handshake, path=path) for path in WEBHOOKS]
    for look in (*looks, _functions, _timer):
        try:
            yield look(app)
        except https.Unreachable as error:
            yield fails("the app goes on answering", error.message, error.remedy)


def _answers(app: App) -> Finding:
    """Wait for the first answer: a new app starts, and its host has to be let into its storage."""
    name, deadline = "the app answers", time.monotonic() + app.patience_s
    while True:
        try:
            answer = _first(app)
            if answer.status == 200:
                return ok(name, f"in {answer.seconds:.1f} s")
            told = f"its first answer: {answer.status} {answer.body[:200]!r}"
        except https.Unreachable as error:
            told = error.message
        if time.monotonic() >= deadline:
            return fails(
                name,
                told,
                "503 by the app itself: storage does not answer it. Anything else: look in the log (portal, "
                "Application Insights, Logs; Flex Consumption has no log stream) for "
                "`traces | where message startswith 'settings.invalid'` and for `exceptions`, and whether "
                "`az functionapp function list` names any.",
            )
        time.sleep(app.pause_s)


def _first(app: App) -> https.Answer:
    """Ask for what everybody may ask: health, or a handshake where App Service lets nothing else pass."""
    answer = app.get("/api/health")
    is_walled = app.known.get(WALL) == "Return401"
    return _shake_hands(app, WEBHOOKS[0], "x") if answer.status == 401 and is_walled else answer


def _forged(app: App) -> Finding:
    """Anybody can send this header; App Service takes it off, and the app believes it only behind that."""
    name = "a forged principal is refused"
    principal = forged(app.known.get("AZURE_TENANT_ID"))
    answer = app.get(GUARDED, {"X-MS-CLIENT-PRINCIPAL": principal})
    if answer.status == 401:
        return ok(name)
    told = f"GET {GUARDED} was answered with {answer.status}"
    return fails(name, told, OPEN if answer.status < 300 else f"401 is expected. {BEGIN_AGAIN}")


def forged(tenant_id: str) -> str:
    """Return what App Service would write of an administrator, as anybody could write it."""
    claims = {
        "roles": "Sync.Admin",
        "tid": tenant_id or "00000000-0000-0000-0000-000000000000",
        "http://schemas.microsoft.com/identity/claims/objectidentifier": "forged",
    }
    principal = {
        "auth_typ": "aad",
        "name_typ": "name",
        "role_typ": "roles",
        "claims": [{"typ": name, "val": value} for name, value in claims.items()],
    }
    return base64.b64encode(json.dumps(principal).encode()).decode()


def _nobody(app: App) -> Finding:
    name, answer = "nobody is let in without a token", app.get(GUARDED)
    if answer.status == 401:
        return ok(name)
    return fails(name, f"GET {GUARDED} was answered with {answer.status}", BEGIN_AGAIN)


def _signed_in(app: App) -> Finding:
    """Ask with a token of who runs this: from the Azure CLI, or one that was given."""
    name, client_id = "a real token is taken", app.known.api_client_id
    if not app.token and not client_id:
        return unknown(
            name, "no registration guards the API yet", "Make it: `python -m deploy entra`."
        )
    try:
        token = app.token or token_of(app.known)
    except CommandFailed as error:
        return unknown(name, error.text.strip(), NOT_ASSIGNED)
    except DeployError as error:
        return unknown(name, error.message, error.remedy)
    answer = app.get(READABLE, {"Authorization": f"Bearer {token}"})
    if answer.status == 200:
        return ok(name)
    document = answer.json()
    code = document.get("code") if isinstance(document, dict) else None
    return fails(name, f"GET {READABLE} was answered with {answer.status} {code}", _of_token(code))


def _of_token(code: object) -> str:
    if code == "auth.roleMissing":
        return "Let an administrator assign you the app role Sync.Reader or Sync.Admin, and sign in again."
    if code in ("auth.tokenInvalid", "auth.tokenMissing", "auth.signInOff"):
        return (
            f"The app does not see the sign-in of App Service (WEBSITE_AUTH_ENABLED). {BEGIN_AGAIN}"
        )
    return (
        "`python -m deploy entra` and `azd provision` make registration and sign-in fit each other. "
        "A program, as of a workflow, has to stand in USERSYNC_API_CALLER_CLIENT_IDS."
    )


def token_of(known: Deployment) -> str:
    """Return a token for the API from the Azure CLI.

    A program, as of a workflow, has to ask for `.default` (AADSTS1002012); a person gets by it what the
    Azure CLI is authorized for in advance, `user_impersonation`.
    """
    command = ("az", "account", "get-access-token", *known.in_subscription, "--scope")
    return str(commands.ask_json(*command, f"api://{known.api_client_id}/.default")["accessToken"])


def _handshake(app: App, path: str) -> Finding:
    """Do as Graph does before it subscribes: the token comes back decoded, as plain text, in time."""
    name = f"{path} answers Graph's handshake"
    token = f"Validation: a+b/{secrets.token_urlsafe(12)}"
    answer = _shake_hands(app, path, token)
    kind = answer.headers.get("content-type", "").partition(";")[0]
    is_right = (answer.status, kind, answer.body) == (200, "text/plain", token.encode())
    if is_right and answer.seconds < HANDSHAKE_S:
        return ok(name, f"in {answer.seconds:.1f} s")
    return fails(
        name,
        f"{answer.status} {kind} after {answer.seconds:.1f} s",
        f"Graph waits for {HANDSHAKE_S:g} s. Nothing may stand before this path: no sign-in "
        f"({WALL}), no access restriction, no gateway. Too slow: "
        "USERSYNC_ALWAYS_READY_HTTP=1.",
    )


def _shake_hands(app: App, path: str, token: str) -> https.Answer:
    return https.send(
        "POST",
        f"{app.url}{path}?validationToken={quote(token, safe='')}",
        headers={"Content-Type": "text/plain; charset=utf-8"},
        body=b"",
    )


def _functions(app: App) -> Finding:
    """An import that fails gives a deployment that looks well and has no functions."""
    name, wanted = "every function is listed", expected_functions()
    try:
        names = commands.ask_json(
            *("az", "functionapp", "function", "list", "--query", "[].name"),
            *("--resource-group", app.known.need("AZURE_RESOURCE_GROUP")),
            *("--name", app.known.need("AZURE_FUNCTION_APP_NAME"), *app.known.in_subscription),
        )
        listed = {one.rpartition("/")[2] for one in names}
    except DeployError as error:
        return _not_told(name, error)
    if listed == wanted:
        return ok(name, ", ".join(sorted(listed)))
    missing, surplus = sorted(wanted - listed), sorted(listed - wanted)
    return fails(
        name,
        f"missing: {', '.join(missing) or 'none'}; unknown: {', '.join(surplus) or 'none'}",
        "All missing: the package does not load there; look for an import error in Application Insights "
        "(`exceptions`), and compare the Python of the app with `python -m deploy package --python`.",
    )


def expected_functions() -> set[str]:
    """Return the functions that function_app.py declares."""
    tree = ast.parse((ROOT / "function_app.py").read_text(encoding="utf-8"))
    return {
        str(ast.literal_eval(node.args[0]))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "function_name"
    }


def _timer(app: App) -> Finding:
    """Wait for a tick in the log, unless the app itself says that there is none."""
    name, deadline = "the timer has fired", time.monotonic() + app.patience_s
    while True:
        told = app.get("/api/health").json()
        if isinstance(told, dict) and told.get("message"):
            return fails(
                name,
                str(told["message"]),
                "docs/operate.md tells what to do about timers that stay silent; until then POST /api/sync "
                "and every notification do their work.",
            )
        try:
            ticks = _ticks(app)
        except DeployError as error:
            return _not_told(name, error)
        if ticks:
            return ok(name, f"{ticks} times in the last {LOGGED_MINUTES} minutes")
        if time.monotonic() >= deadline:
            return unknown(
                name,
                f"nothing in the log of the last {LOGGED_MINUTES} minutes yet",
                "Probe again in ten minutes: it fires every five, and the log comes some minutes late.",
            )
        time.sleep(app.pause_s)


def _not_told(name: str, error: DeployError) -> Finding:
    """Without `az`, or without a right of who runs it, a question stays open; it says nothing of the app."""
    if isinstance(error, CommandFailed):
        return unknown(name, error.text.strip(), SIGN_IN)
    return unknown(name, error.message, error.remedy)


def _ticks(app: App) -> int:
    """Count the timer's ticks that Log Analytics has: learn.microsoft.com/azure/azure-monitor/logs/api."""
    group, name = app.known.need("AZURE_RESOURCE_GROUP"), app.known.need("AZURE_LOG_WORKSPACE_NAME")
    workspace = commands.ask_json(
        *("az", "monitor", "log-analytics", "workspace", "show", "--query", "customerId"),
        *("--resource-group", group, "--workspace-name", name, *app.known.in_subscription),
    )
    host = commands.ask_json("az", "cloud", "show", "--query", "endpoints.logAnalyticsResourceId")
    query = (
        f"AppTraces | where TimeGenerated > ago({LOGGED_MINUTES}m)"
        f" | where AppRoleName =~ '{app.known.get('AZURE_FUNCTION_APP_NAME')}'"
        f" | where Message startswith '{TICK}' | count"
    )
    answer = commands.ask_json(
        *("az", "rest", "--method", "post", "--resource", str(host)),
        *("--url", f"{str(host).rstrip('/')}/v1/workspaces/{workspace}/query"),
        *("--body", json.dumps({"query": query})),
    )
    return int(answer["tables"][0]["rows"][0][0])
