"""docs/resources.md tells of everything that is made, and is the page of today's templates."""

from tests.infra import resource_page
from tests.infra.infrastructure import deployment, scenarios


def test_every_kind_of_resource_is_told_and_no_other() -> None:
    made = {
        resource_page.kind_of(one) for name in scenarios() for one in deployment(name).resources
    }

    assert made == {*resource_page.KINDS}


def test_a_kind_that_is_told_says_what_it_costs_and_who_reads_it() -> None:
    told = [one for one in resource_page.KINDS.values() if not one.within]

    assert all(one.called and one.cost and one.readers for one in told)
    assert len(told) > 10


def test_every_role_is_told() -> None:
    assignments = [
        one for name in scenarios() for one in deployment(name).of("Authorization/roleAssignments")
    ]
    given = {one["properties"]["roleDefinitionId"].rpartition("/")[2] for one in assignments}

    assert given == {*resource_page.ROLES}


def test_the_page_is_that_of_the_templates() -> None:
    assert resource_page.PAGE.read_text("utf-8") == resource_page.page(), "python -m tests.infra"
