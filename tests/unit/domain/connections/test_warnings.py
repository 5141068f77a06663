"""A warning as the API shows it."""

from sync_core.domain.connections import warnings


def test_how_many_people_it_is_about_is_told_where_it_is_known() -> None:
    short = warnings.Warning(code="scope.everyone", message="Everyone comes in.")
    counted = short.model_copy(update={"users": 9, "guests": 2})
    words = {"code": "scope.everyone", "message": "Everyone comes in."}

    assert short.to_json() == words | {"users": None, "guests": None}
    assert counted.to_json() == words | {"users": 9, "guests": 2}
