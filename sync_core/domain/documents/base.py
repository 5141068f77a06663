"""What all documents share: how they are read and written, and the forms of names, days and moments."""

import re
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasGenerator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)
from pydantic.alias_generators import to_camel

GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
DOMAIN = re.compile(r"(?=.{4,253}$)([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?\.)+[a-zA-Z]{2,63}")
CONNECTION_ID = r"^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$"
RUN_ID = r"^[0-9A-Za-z-]{1,64}$"
# Numbers are seconds since 1970 to pydantic, also as a text; nobody means them so.
DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?![0-9])")


def _is_dated(value: object) -> bool:
    return (isinstance(value, str) and bool(DATE.match(value))) or isinstance(value, date)


def _day(value: object) -> object:
    if _is_dated(value):
        return value
    raise ValueError("must be a date like 2027-01-31")


def _dated(value: object) -> object:
    if _is_dated(value):
        return value
    msg = "must be a date like 2027-01-31, with its time where that matters (2027-01-31T08:00:00Z)"
    raise ValueError(msg)


def _guid(value: str) -> str:
    if not GUID.fullmatch(value):
        msg = "must be a GUID like 11111111-2222-3333-4444-555555555555"
        raise ValueError(msg)
    return value.lower()


def _tenant(value: str) -> str:
    if GUID.fullmatch(value) or DOMAIN.fullmatch(value):
        return value.lower()
    msg = "must be the tenant's id (a GUID) or one of its verified domains"
    raise ValueError(msg)


def is_connection_id(text: str) -> bool:
    """Whether a text can be a connection's id; Table Storage takes other keys for errors of its own."""
    return re.fullmatch(CONNECTION_ID, text) is not None


def is_run_id(text: str) -> bool:
    """Whether a text can be a run's id."""
    return re.fullmatch(RUN_ID, text) is not None


Guid = Annotated[str, AfterValidator(_guid), Field(json_schema_extra={"format": "uuid"})]
TenantId = Annotated[str, AfterValidator(_tenant), Field(json_schema_extra={"maxLength": 253})]
ConnectionId = Annotated[str, StringConstraints(pattern=CONNECTION_ID)]
RunId = Annotated[str, StringConstraints(pattern=RUN_ID)]
# As a caller sends them, in words and not in seconds.
Day = Annotated[date, BeforeValidator(_day)]
Moment = Annotated[datetime, BeforeValidator(_dated)]
AwareMoment = Annotated[AwareDatetime, BeforeValidator(_dated)]


class Document(BaseModel):
    """camelCase outside, unknown fields refused: a misspelt field must not be silently ignored."""

    model_config = ConfigDict(
        alias_generator=AliasGenerator(alias=to_camel),
        validate_by_name=True,
        validate_by_alias=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
    )

    def to_json(self) -> dict[str, Any]:
        """Return the document as the API and the tables carry it."""
        return self.model_dump(mode="json", by_alias=True)
