"""A warning as the API shows it."""

from sync_core.domain.connections.warnings import Warning


def test_how_many_people_it_is_about_is_told_only_where_it_is_known() -> None:
    everyone = Warning(code="scope.everyone", message="Everyone comes in.", users=9, guests=2)
    short = Warning(code="scope.empty", message="Nobody comes in.")

    assert everyone.to_json() == {
        "code": "scope.everyone",
        "message": "Everyone comes in.",
        "users": 9,
        "guests": 2,
    }
    assert short.to_json() | {"users": 9, "guests": 2} != short.to_json()
    assert (short.users, short.guests) == (None, None)
