"""Targets of Entra's provisioning under names that a column can have."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_core.domain.formats.entra_names import column_for
from tests.unit.domain.formats.entra_schema import ENTERPRISE


@pytest.mark.parametrize(
    ("target", "column"),
    [
        ("userName", "userName"),
        ("externalId", "externalId"),
        ("name.givenName", "givenName"),
        ("name.familyName", "familyName"),
        ("name.formatted", "formattedName"),
        ('emails[type eq "work"].value', "email"),
        ("emails[type eq work].value", "email"),
        ('emails[type eq "home"].value', "homeEmail"),
        ('emails[type eq "work"]', "email"),
        ('phoneNumbers[type eq "work"].value', "workPhone"),
        ('phoneNumbers[type eq "mobile"].value', "mobilePhone"),
        ('phoneNumbers[type eq "fax"].value', "faxPhone"),
        ('addresses[type eq "work"].streetAddress', "streetAddress"),
        ('addresses[type eq "work"].formatted', "address"),
        ('addresses[type eq "other"].locality', "otherLocality"),
        ('addresses[type eq "other"].formatted', "otherAddress"),
        ('roles[primary eq "True"].value', "role"),
        ('roles[primary eq "True"].display', "roleDisplay"),
        ('ims[type eq "skype"].value', "skypeIm"),
        ("manager.value", "manager"),
        ("manager.displayName", "managerDisplayName"),
        (f"{ENTERPRISE}:manager", "manager"),
        (f"{ENTERPRISE}:employeeNumber", "employeeNumber"),
        ("urn:ietf:params:scim:schemas:core:2.0:User:name.givenName", "givenName"),
        ("URN:x:User:costCenter", "costCenter"),
        ("IsActive", "isActive"),
        ("UserPermissionsCallCenterAutoLogin", "userPermissionsCallCenterAutoLogin"),
        ("SSOId", "ssoId"),
        ("ID", "id"),
        ("first_name", "firstName"),
        ("Cost Center", "costCenter"),
        ("extension_0123_badge-number", "extension0123BadgeNumber"),
        ("2fa", "column2fa"),
        ("部門", "column"),
        ("", "column"),
        ("A" * 80, "a" * 64),
    ],
)
def test_a_target_gets_a_natural_name(target: str, column: str) -> None:
    assert column_for(target, set()) == column


def test_a_name_that_is_taken_gets_a_number() -> None:
    assert column_for("email", {"email"}) == "email2"
    assert column_for('emails[type eq "work"].value', {"email", "email2"}) == "email3"
    assert column_for("a" * 64, {"a" * 64}) == "a" * 63 + "2"


@given(st.text(max_size=80) | st.text('abA1.:[]"= ', max_size=80), st.sets(st.text(max_size=5)))
def test_any_target_gets_a_name_that_fits_and_is_free(target: str, taken: set[str]) -> None:
    name = column_for(target, taken)

    assert re.fullmatch(r"[a-z][A-Za-z0-9]{0,63}", name)
    assert name not in taken
