"""The pages of the emulated sign-in and admin consent: names and form fields in, HTML out."""

from collections.abc import Mapping, Sequence
from html import escape
from string import Template

from local.graph.entra.accounts import Account

_WHAT_THEY_MEAN = {
    "User.Read.All": ("Read all users' full profiles", "Names, addresses, departments and so on."),
    "Group.Read.All": ("Read all groups", "Their names and who is in them."),
    "GroupMember.Read.All": ("Read all group memberships", "Who is in which group."),
    "Member.Read.Hidden": (
        "Read all hidden memberships",
        "Also of groups that hide their members.",
    ),
}

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --back: #eef1f6; --card: #fff; --text: #1b1f27; --soft: #576071;
  --line: #d7dce5; --accent: #1f5fbf; --on-accent: #fff; }
@media (prefers-color-scheme: dark) { :root { --back: #14171d; --card: #1e232c; --text: #eceff4;
  --soft: #a8b1c0; --line: #39414f; --accent: #8ab4ff; --on-accent: #10141b; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
  background: var(--back); color: var(--text); font: 1rem/1.5 system-ui, sans-serif; }
main { width: min(100%, 28rem); padding: 2rem; background: var(--card); border-radius: .75rem;
  border: 1px solid var(--line); }
h1 { margin: 0 0 .25rem; font-size: 1.4rem; line-height: 1.3; }
p { margin: .5rem 0; }
.note { margin: 0 0 1.25rem; font-size: .85rem; color: var(--soft); }
.soft { color: var(--soft); }
ul { list-style: none; margin: 1.25rem 0; padding: 0; border-top: 1px solid var(--line); }
li { padding: .75rem 0; border-bottom: 1px solid var(--line); }
li span { display: block; font-size: .9rem; color: var(--soft); }
code { font: .85em ui-monospace, monospace; overflow-wrap: anywhere; }
button { font: inherit; padding: .6rem 1.1rem; border-radius: .45rem; cursor: pointer;
  border: 1px solid var(--line); background: transparent; color: inherit; }
button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
button.main { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
.account { display: block; width: 100%; margin-top: .6rem; text-align: left; }
.account span { display: block; font-size: .9rem; color: var(--soft); }
.buttons { display: flex; flex-wrap: wrap; gap: .75rem; justify-content: flex-end; margin-top: 1.5rem; }
</style>
</head>
<body>
<main>
<p class="note">Emulated sign-in of the local rig. Nothing here reaches Microsoft.</p>
$content
</main>
</body>
</html>
""")


def accounts_page(app: str, accounts: Sequence[Account], fields: Mapping[str, str]) -> str:
    choices = "\n".join(
        f'<button class="account" name="account" value="{escape(one.name)}">{escape(one.name)}'
        f"<span>{escape(one.tenant.name)} · {one.role_name}</span></button>"
        for one in accounts
    )
    return _page(
        "Pick an account",
        f"""<h1>Pick an account</h1>
<p class="soft">to go on to <b>{escape(app)}</b></p>
<form method="get">{_hidden(fields)}
{choices}
</form>""",
    )


def consent_page(
    app: str, account: Account, permissions: Sequence[str], fields: Mapping[str, str]
) -> str:
    rows = "\n".join(_permission(name) for name in permissions)
    return _page(
        "Permissions requested",
        f"""<h1>Permissions requested</h1>
<p class="soft">Signed in as {escape(account.name)}</p>
<p><b>{escape(app)}</b> would like to do this in all of {escape(account.tenant.name)}, without anybody
signed in:</p>
<ul>
{rows}
</ul>
<form method="post">{_hidden({**fields, "account": account.name})}
<div class="buttons">
<button name="decision" value="cancel">Cancel</button>
<button class="main" name="decision" value="accept">Accept</button>
</div>
</form>""",
    )


def approval_page(app: str, account: Account, fields: Mapping[str, str]) -> str:
    return _page(
        "Need admin approval",
        f"""<h1>Need admin approval</h1>
<p class="soft">Signed in as {escape(account.name)}</p>
<p><b>{escape(app)}</b> needs permissions in {escape(account.tenant.name)} that only an administrator can
grant.</p>
<form method="post">{_hidden({**fields, "account": account.name})}
<div class="buttons">
<button name="decision" value="cancel">Return to the application without granting consent</button>
</div>
</form>""",
    )


def trouble_page(description: str) -> str:
    return _page(
        "Sign in",
        f"""<h1>Sorry, but we're having trouble signing you in.</h1>
<p>{escape(description)}</p>""",
    )


def _page(title: str, content: str) -> str:
    return _PAGE.substitute(title=escape(title), content=content)


def _permission(name: str) -> str:
    title, meaning = _WHAT_THEY_MEAN.get(name, (name, ""))
    return f"<li>{title} <code>{escape(name)}</code><span>{meaning}</span></li>"


def _hidden(fields: Mapping[str, str]) -> str:
    return "".join(
        f'\n<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in fields.items()
    )
