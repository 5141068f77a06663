"""Brings the app to Azure and looks whether it works there: `python -m deploy`. It never ships.

Needs nothing but Python 3.11 or newer, so that it runs in a bare clone; `probe --graph` alone uses the app's
own packages. Azure is reached through the programs `azd` and `az` (`deploy/commands.py`) and by HTTPS
(`deploy/https.py`), and in no other way.
"""
