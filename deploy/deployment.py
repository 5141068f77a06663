"""What is known of a deployment: the values of its azd environment, parameters and outputs of `infra/`."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from deploy import commands
from deploy.errors import DeployError

OUTPUT = "AZURE_FUNCTION_APP_URL"
# With what the names of choices begin: the parameters of `infra/main.parameters.json`.
CHOICE = "USERSYNC_"


@dataclass(frozen=True, slots=True)
class Deployment:
    """One environment; a value that it does not have is empty, `need` says what is to be done about it."""

    values: Mapping[str, str]

    def get(self, name: str) -> str:
        return self.values.get(name, "")

    def need(self, name: str) -> str:
        """Return a value, or say that the deployment is not there yet."""
        value = self.get(name)
        if not value:
            raise DeployError(
                f"The azd environment has no {name}.",
                "Deploy first (`azd up`, or `python -m deploy up`), choose the environment with "
                "`azd env select`, or give the value as an option.",
            )
        return value

    @property
    def in_subscription(self) -> tuple[str, ...]:
        """Return the words that make `az` look there: it has a subscription of its own, often another one."""
        found = self.get("AZURE_SUBSCRIPTION_ID")
        return ("--subscription", found) if found else ()

    def is_on(self, name: str) -> bool:
        return self.get(name).lower() == "true"

    @property
    def url(self) -> str:
        """Return the address of the function app."""
        return self.need(OUTPUT).rstrip("/")

    @property
    def api_client_id(self) -> str:
        """Return the registration that guards the API; empty as long as there is none."""
        return self.get("USERSYNC_API_CLIENT_ID")


def of_hook() -> Deployment:
    """Return what azd knows, which every hook finds in its environment."""
    return Deployment(dict(os.environ))


def read() -> Deployment:
    """Return what azd knows; nothing where there is no azd or no environment.

    azd takes a choice from the machine's environment as well, where its own has none: a workflow gives it so.
    """
    if not commands.has("azd"):
        return Deployment({})
    chosen = {name: value for name, value in os.environ.items() if name.startswith(CHOICE)}
    try:
        return Deployment(chosen | parse(commands.ask("azd", "env", "get-values")))
    except commands.CommandFailed:
        # No environment has been made or chosen yet: whoever needs a value says so.
        return Deployment({})


def keep(name: str, value: str) -> None:
    """Put a value into the azd environment: the next `azd provision` has it as a parameter."""
    commands.ask("azd", "env", "set", name, value)


def parse(text: str) -> dict[str, str]:
    """Read lines as azd writes them: NAME="value", with a backslash before quotes and backslashes."""
    found = {}
    for line in text.splitlines():
        name, is_one, value = line.partition("=")
        if is_one and name.isidentifier():
            found[name] = _plain(value.strip())
    return found


def _plain(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    return value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
