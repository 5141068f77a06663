"""Which call answers, and what is refused before any does: paths, methods, permissions."""

import pytest

from tests.rig.graph.conftest import Application, error_code


@pytest.mark.parametrize(
    ("roles", "path"),
    [
        pytest.param(["Group.Read.All"], "/users", id="users"),
        pytest.param(["Group.Read.All"], "/users/delta", id="user delta"),
        pytest.param(["User.Read.All"], "/groups", id="groups"),
        pytest.param(["User.Read.All"], "/groups/delta", id="group delta"),
        pytest.param(["User.Read.All", "Group.Read.All"], "/organization", id="organization"),
        pytest.param(
            ["User.Read.All"], "/applications(appId='5a3b1e00-91c4-4f7e-8d2b-6b1f0c9e2d11')",
            id="application",
        ),
        pytest.param(
            ["Group.Read.All"], "/directory/deletedItems/microsoft.graph.user", id="deleted users"
        ),
    ],
)  # fmt: skip
def test_each_call_needs_its_permission(
    application: Application, roles: list[str], path: str
) -> None:
    application.emulator.control.set_roles(roles)
    application.sign_in()

    answer = application.ask(path)

    assert (answer.status_code, error_code(answer)) == (403, "Authorization_RequestDenied")


def test_unknown_paths_and_versions_are_refused(reader: Application) -> None:
    base = reader.emulator.graph_url

    assert reader.ask("/planets").status_code == 400
    assert reader.ask("/users/x/planets").status_code == 400
    assert reader.ask(f"{base}/beta/users").status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/users"),
        ("PATCH", "/users/someone@contoso.com"),
        ("DELETE", "/groups/1"),
        ("POST", "/groups/1/members/$ref"),
        ("DELETE", "/groups/1/members"),
    ],
)
def test_nothing_can_be_written(reader: Application, method: str, path: str) -> None:
    assert reader.ask(path, method=method, json={}).status_code in (400, 405)
