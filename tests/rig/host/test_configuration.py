"""host.json: what is understood, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from local.host.configuration import (
    ConfigurationError,
    parse_time_span,
    read_host_json,
)
from tests.rig.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param("{", "not JSON", id="not JSON"),
        pytest.param("{}", '"version": "2.0"', id="no version"),
        pytest.param(
            {"version": "2.0", "extensions": {"queues": {"batchSize": 33}}}, "32", id="batch"
        ),
        pytest.param(
            {"version": "2.0", "extensions": {"queues": {"messageEncoding": "gzip"}}},
            "base64",
            id="encoding",
        ),
        pytest.param({"version": "2.0", "functionTimeout": "5 min"}, "00:00:30", id="timeout"),
    ],
)
def test_host_json_that_is_refused(
    tmp_path: Path, content: str | dict[str, Any], message: str
) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    (tmp_path / "host.json").write_text(text)

    with pytest.raises(ConfigurationError, match=message):
        read_host_json(tmp_path)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        pytest.param("00:00:02", 2, id="seconds"),
        pytest.param("00:30:00", 1800, id="minutes"),
        pytest.param("1.00:00:00", 86_400, id="a day"),
        pytest.param("00:00:00.5", 0.5, id="half a second"),
    ],
)
def test_time_spans(text: str, seconds: float) -> None:
    assert parse_time_span(text) == seconds


def test_the_host_json_of_this_app_is_understood() -> None:
    """A notification has to be in the table within five seconds; so polls may not be far apart."""
    config = read_host_json(REPOSITORY)

    assert config.route_prefix == "api"
    assert config.queues.base64
    assert config.queues.max_polling_interval_s <= 2
    assert config.function_timeout_s == 30 * 60
