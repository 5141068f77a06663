"""Requests that a page of another site made a browser send: its headers in, whether to refuse out. Pure.

Once browsers carry a cookie of App Service authentication, any site can have one sent here in a signed-in
person's name. The rule is that of Go 1.25 (`http.CrossOriginProtection`) and ASP.NET Core: browsers say
with `Sec-Fetch-Site` where a request comes from, older ones at least with `Origin`, and no page can
change either (fetch.spec.whatwg.org, forbidden request-header). Programs send neither.
"""

from urllib.parse import urlsplit

from starlette.datastructures import Headers

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# `none` is an address that a person typed, or chose from their bookmarks.
OWN = frozenset({"same-origin", "none"})


def comes_from_elsewhere(headers: Headers) -> bool:
    """Whether another site's page sent this. A header that is there twice counts with all of its values."""
    if sites := headers.getlist("sec-fetch-site"):
        return not all(site.strip().lower() in OWN for site in sites)
    host = headers.get("host", "").lower()
    return not all(_host(origin) == host for origin in headers.getlist("origin"))


def _host(origin: str) -> str | None:
    """Return host and port of an origin as a Host header has them; None for `null` and what is none."""
    try:
        return urlsplit(origin.strip()).netloc.lower() or None
    except ValueError:
        return None
