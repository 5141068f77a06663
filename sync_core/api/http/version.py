"""The version of the program, as health and OpenAPI tell it."""

VERSION = "0.1.0"
