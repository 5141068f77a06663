"""host.json and app settings in, plain values out; what is wrong is a ConfigurationError."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_TIMEOUT_S = 30 * 60.0
MAX_BATCH = 32
"""As many messages as Queue Storage gives at once."""

_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d+)?)")
_SETTING = re.compile(r"%([^%]+)%")


class ConfigurationError(Exception):
    """The app cannot be served as it is; the message says what to change."""


@dataclass(frozen=True, kw_only=True)
class QueueConfig:
    # Defaults: https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue#host-json
    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility_timeout_s: float = 0.0
    max_polling_interval_s: float = 60.0
    base64: bool = True


@dataclass(frozen=True, kw_only=True)
class HostConfig:
    route_prefix: str = "api"
    function_timeout_s: float | None = DEFAULT_TIMEOUT_S
    queues: QueueConfig = QueueConfig()


def read_host_json(root: Path) -> HostConfig:
    file = root / "host.json"
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise ConfigurationError(f"There is no host.json in {root}.") from error
    except ValueError as error:
        raise ConfigurationError(f"host.json is not JSON: {error}") from error
    if content.get("version") != "2.0":
        raise ConfigurationError('host.json must say "version": "2.0".')
    extensions = content.get("extensions", {})
    return HostConfig(
        route_prefix=extensions.get("http", {}).get("routePrefix", "api").strip("/"),
        function_timeout_s=_timeout(content.get("functionTimeout")),
        queues=_queues(extensions.get("queues", {})),
    )


def read_local_settings(root: Path) -> dict[str, str]:
    """``Values`` of local.settings.json, if there is one."""
    file = root / "local.settings.json"
    if not file.exists():
        return {}
    try:
        values = json.loads(file.read_text()).get("Values", {})
    except ValueError as error:
        raise ConfigurationError(f"local.settings.json is not JSON: {error}") from error
    return {name: str(value) for name, value in values.items()}


def expand(text: str, settings: Mapping[str, str]) -> str:
    """``%NAME%`` becomes the setting of that name."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in settings:
            raise ConfigurationError(f"The app setting {match[1]} is missing; {text!r} needs it.")
        return settings[match[1]]

    return _SETTING.sub(value, text)


def parse_time_span(text: str) -> float:
    """Seconds of ``hh:mm:ss`` or ``d.hh:mm:ss``."""
    match = _TIME_SPAN.fullmatch(text)
    if not match:
        raise ConfigurationError(f"{text!r} in host.json is not a time like 00:00:30.")
    days, hours, minutes, seconds = match.groups(default="0")
    return ((int(days) * 24 + int(hours)) * 60 + int(minutes)) * 60 + float(seconds)


def _timeout(text: str | None) -> float | None:
    if text is None:
        return DEFAULT_TIMEOUT_S
    return None if text == "-1" else parse_time_span(text)


def _queues(settings: Mapping[str, Any]) -> QueueConfig:
    batch_size = settings.get("batchSize", QueueConfig.batch_size)
    if not 1 <= batch_size <= MAX_BATCH:
        raise ConfigurationError(f"batchSize in host.json must be between 1 and {MAX_BATCH}.")
    encoding = settings.get("messageEncoding", "base64").lower()
    if encoding not in {"base64", "none"}:
        raise ConfigurationError('messageEncoding in host.json must be "base64" or "none".')
    return QueueConfig(
        batch_size=batch_size,
        new_batch_threshold=settings.get("newBatchThreshold", batch_size // 2),
        max_dequeue_count=settings.get("maxDequeueCount", QueueConfig.max_dequeue_count),
        visibility_timeout_s=parse_time_span(settings.get("visibilityTimeout", "00:00:00")),
        max_polling_interval_s=parse_time_span(settings.get("maxPollingInterval", "00:01:00")),
        base64=encoding == "base64",
    )
