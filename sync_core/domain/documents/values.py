"""Values as they stand in clauses, in columns, and in what an assertion looks for."""

from typing import Annotated

from pydantic import Field

# More than a connection can hold; a column of a table holds half of what it could be in UTF-16.
MAX_VALUES = 100_000
MAX_VALUE = 100_000
MAX_COLUMN = 32 * 1024
# Of a number, what JSON and Table Storage can carry: whole numbers of 64 bits, no Infinity.
Int64 = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Scalar = Annotated[str, Field(max_length=MAX_VALUE)] | bool | Int64 | Number
# As a column of the table can hold it.
ColumnValue = Annotated[str, Field(max_length=MAX_COLUMN)] | bool | Int64 | Number
# What an assertion may find in a column. No fractions, which are seldom equal, and no number beyond 32
# bits: a table that is read without types tells those as text.
Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
FoundValue = Annotated[str, Field(min_length=1, max_length=MAX_COLUMN)] | bool | Int32
# Of a long list the first wrong value is named: each is refused once for every type it could have.
Scalars = Annotated[list[Scalar], Field(max_length=MAX_VALUES, fail_fast=True)]
