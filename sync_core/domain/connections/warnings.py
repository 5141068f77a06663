"""What is allowed about a connection and may surprise."""

from pydantic import Field

from sync_core.domain.documents.base import Document


class Warning(Document):  # noqa: A001 -- the word of the contract
    """Something about a connection that is allowed and may surprise."""

    code: str = Field(examples=["scope.everyone"])
    message: str
    users: int | None = Field(default=None, description="Everybody in the directory, with guests.")
    guests: int | None = Field(default=None, description="How many of them are guests.")
