"""Brings the app to Azure and looks whether it works there: `python -m deploy`. It never ships.

Needs nothing but Python 3.11 or newer, so that it runs in a bare clone; `probe --graph` alone uses the app's
own packages. Azure is reached through the programs `azd` and `az` (`deploy/commands.py`) and by HTTPS
(`deploy/https.py`), and in no other way.
"""

import sys

# Before anything is imported that an older Python ends at, with a text that helps nobody.
if sys.version_info < (3, 11):  # noqa: UP036 -- whichever the machine has
    sys.exit(
        f"Python 3.11 to 3.14 is needed, and this is {sys.version_info[0]}.{sys.version_info[1]}: "
        "start it with a newer one, as in `python3.13 -m deploy ...`."
    )
