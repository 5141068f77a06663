"""Which properties a delta query tells changes of."""

import pytest

from sync_core.domain.attributes import MANAGER, MANAGER_PROPERTIES
from sync_core.domain.incremental.tracking import (
    Tracking,
    delta_select,
    names_to_track,
    not_tracked,
    tracking_of,
)


@pytest.mark.parametrize(
    ("name", "tracking"),
    [
        ("department", Tracking.TRACKED),
        ("onPremisesExtensionAttributes", Tracking.TRACKED),
        ("extension_0123456789abcdef0123456789abcdef_badge", Tracking.TRACKED),
        ("contoso_badge", Tracking.UNTRACKED),
        ("extkmpdyld2_badge", Tracking.UNTRACKED),
        ("licenseAssignmentStates", Tracking.UNTRACKED),
        ("signInActivity", Tracking.REFUSED),
    ],
)
def test_a_property_is_tracked_untracked_or_refused(name: str, tracking: Tracking) -> None:
    assert tracking_of(name) is tracking


def test_where_managers_are_read_their_properties_are_told_as_those_of_people() -> None:
    assert names_to_track({"mail", "city"}) == ["city", "mail"]
    assert set(names_to_track({"city", MANAGER})) == {"city", MANAGER, *MANAGER_PROPERTIES}


def test_what_a_tenant_was_seen_to_refuse_is_refused() -> None:
    names = ["city", "department", "identities", "signInActivity"]

    assert not_tracked(names, ["city"]) == ["city", "identities", "signInActivity"]
    assert delta_select(names, ["city"]) == ["department", "identities"]
