"""Which names of secrets are the app's own, and which two mean the same."""

import pytest

from sync_core.domain.secret_names import FORMER_NAMES, OWN_PREFIX, is_own, is_same


@pytest.mark.parametrize(
    ("name", "own"),
    [
        pytest.param("usersync-anything", True, id="prefix"),
        pytest.param("UserSync-Anything", True, id="prefix in another case"),
        pytest.param("usersync", False, id="without the dash"),
        pytest.param("contoso-usersync-secret", False, id="inside"),
        pytest.param("graph-client-state-key", True, id="former name"),
        pytest.param("GRAPH-client-state-key", True, id="former name in another case"),
    ],
)
def test_names_of_the_app(name: str, own: bool) -> None:
    assert is_own(name) is own


def test_every_key_of_today_has_the_prefix() -> None:
    assert FORMER_NAMES
    assert all(name.startswith(OWN_PREFIX) for name in FORMER_NAMES)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("contoso-secret", "Contoso-SECRET", True),
        ("contoso-secret", "contoso-secrets", False),
        (None, None, False),
        ("a", None, False),
        (None, "a", False),
    ],
)
def test_names_are_compared_as_key_vault_does(
    one: str | None, other: str | None, same: bool
) -> None:
    assert is_same(one, other) is same
