"""The page that tells how a consent ended: words in, HTML out, with the headers it needs.

It stands alone: no script, no picture, nothing from elsewhere, and nothing of the address that led to it.
"""

import hashlib
from base64 import b64encode
from html import escape
from string import Template

from sync_core.domain.connections.consent import Tone, Words

STYLE = """
:root { color-scheme: light dark; --back: #eef1f6; --card: #ffffff; --line: #d5dae3; --text: #1a1f29;
  --soft: #505a6b; --good: #18794e; --waiting: #8a5a00; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --back: #12151b; --card: #1c212a; --line: #363e4c;
  --text: #edf0f5; --soft: #b0b8c6; --good: #6fd6a2; --waiting: #f2c063; --bad: #ff9d94; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
  background: var(--back); color: var(--text); font: 1.0625rem/1.55 system-ui, sans-serif; }
main { width: min(100%, 34rem); padding: 2.25rem; background: var(--card); border: 1px solid var(--line);
  border-radius: .75rem; }
svg { display: block; width: 3rem; height: 3rem; margin-bottom: 1rem; fill: none;
  stroke: currentColor; stroke-width: 2; stroke-linecap: round; stroke-linejoin: round; }
.good svg { color: var(--good); }
.waiting svg { color: var(--waiting); }
.bad svg { color: var(--bad); }
h1 { margin: 0 0 .75rem; font-size: 1.5rem; line-height: 1.25; }
h2 { margin: 1.5rem 0 .25rem; font-size: 1rem; }
p { margin: 0; }
.code { margin-top: 1.75rem; padding-top: 1rem; border-top: 1px solid var(--line); font-size: .875rem;
  color: var(--soft); }
"""
ICONS = {
    Tone.GOOD: '<path d="m7.5 12.5 3 3 6-6.5"/>',
    Tone.WAITING: '<path d="M12 7v5.5l3.5 2"/>',
    Tone.BAD: '<path d="M12 7v6m0 3.5v.01"/>',
}
PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main class="$tone">
<svg viewBox="0 0 24 24" aria-hidden="true"><circle cx="12" cy="12" r="10"/>$icon</svg>
<h1>$title</h1>
<p>$happened</p>
<h2>What to do next</h2>
<p>$remedy</p>
$code</main>
</body>
</html>
""")
CODE = Template('<p class="code">Code: <code>$code</code></p>\n')


def _policy() -> str:
    digest = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


HEADERS = {"Content-Security-Policy": _policy()}


def result_page(words: Words, code: str | None) -> str:
    """Return the page; `code` is one of ours, or None."""
    return PAGE.substitute(
        title=escape(words.title),
        style=STYLE,
        tone=words.tone.value,
        icon=ICONS[words.tone],
        happened=escape(words.happened),
        remedy=escape(words.remedy),
        code=CODE.substitute(code=escape(code)) if code else "",
    )
