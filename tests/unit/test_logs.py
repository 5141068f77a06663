"""One event is one line, whatever stands in its fields."""

import logging
from typing import Any

import pytest

from sync_core.logs import log_event


def line(caplog: pytest.LogCaptureFixture, **fields: Any) -> str:
    with caplog.at_level(logging.INFO, logger="entra_user_sync"):
        log_event("run.finished", **fields)
    return caplog.messages[-1]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param("contoso", "contoso", id="plain"),
        pytest.param(3, "3", id="number"),
        pytest.param(False, "False", id="false is no absence"),
        pytest.param("two words", '"two words"', id="blank"),
        pytest.param("", '""', id="empty"),
        pytest.param('a"b', '"a\\"b"', id="quote"),
        pytest.param('x" status=succeeded', '"x\\" status=succeeded"', id="forged field"),
        pytest.param("a\\", '"a\\\\"', id="backslash before the closing quote"),
        pytest.param("a\nrun.finished b=1", '"a run.finished b=1"', id="line feed"),
        pytest.param("a\r\nb", '"a  b"', id="carriage return"),
        pytest.param("a\u2028b\u2029c\x85d\x0be\x0cf", '"a b c d e f"', id="other line breaks"),
        pytest.param("a\x1b[31mb", '"a [31mb"', id="terminal escape"),
        pytest.param("a\u202eb", '"a b"', id="text that turns its direction"),
        pytest.param("Müller-李", "Müller-李", id="other scripts"),
        pytest.param("100%s", "100%s", id="percent"),
    ],
)
def test_a_value_cannot_leave_its_field(
    caplog: pytest.LogCaptureFixture, value: object, written: str
) -> None:
    assert line(caplog, code=value, created=1) == f"run.finished code={written} created=1"


def test_fields_without_a_value_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    assert line(caplog, connection="contoso", code=None) == "run.finished connection=contoso"


def test_an_event_may_have_no_fields(caplog: pytest.LogCaptureFixture) -> None:
    assert line(caplog) == "run.finished"


def test_the_level_is_the_callers(caplog: pytest.LogCaptureFixture) -> None:
    log_event("run.gaveUp", level=logging.ERROR)

    assert caplog.records[-1].levelno == logging.ERROR
