"""Cursors: a caller gives back what was handed out, for the same list, letter by letter."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest

from sync_core.api.http.paging import from_cursor, to_cursor
from sync_core.domain.errors import Invalid
from sync_core.services import Services

POSITION = "8233998400000-1f2e3d4c"


async def test_a_cursor_leads_where_its_page_ended(services: Services) -> None:
    for position in (POSITION, "https://graph.microsoft.com/v1.0/groups?$skiptoken=é", " "):
        assert await from_cursor(services, "runs", await to_cursor(services, "runs", position)) == (
            position
        )


async def test_the_last_page_has_none_and_no_cursor_is_the_beginning(services: Services) -> None:
    assert await to_cursor(services, "runs", None) is None
    assert await from_cursor(services, "runs", None) is None


async def test_nothing_of_a_cursor_can_be_changed(services: Services) -> None:
    made = await to_cursor(services, "runs", POSITION)
    assert made is not None
    content = urlsafe_b64decode(made + "==")
    changed = [
        content[:number] + bytes([content[number] ^ 1]) + content[number + 1 :]
        for number in range(len(content))
    ]
    for forged in (*changed, content[:-1], content + b"0", content[16:], b""):
        with pytest.raises(Invalid):
            await from_cursor(services, "runs", urlsafe_b64encode(forged).decode().rstrip("="))


@pytest.mark.parametrize("kind", ["run", "runss", "runs/contoso", "users"])
async def test_a_cursor_belongs_to_one_list(services: Services, kind: str) -> None:
    cursor = await to_cursor(services, "runs", POSITION)

    with pytest.raises(Invalid):
        await from_cursor(services, kind, cursor)


@pytest.mark.parametrize("cursor", ["!", "é", "abcde", "", "cnVuczo1", "=" * 20])
async def test_what_is_no_cursor_is_refused(services: Services, cursor: str) -> None:
    with pytest.raises(Invalid):
        await from_cursor(services, "runs", cursor)
