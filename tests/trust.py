"""Trust the rig's certificates in this process; loaded by pytest before anything else.

aiohttp makes its TLS context when it is imported, so the environment has to be ready by then, as it is
in every process that the rig starts. Only the rig's own root: every client of Graph loads the file
anew, and the internet's 150 roots take 25 milliseconds each time.
"""

import os
from pathlib import Path

from local.tls import issue

TLS = issue(Path(__file__).parent.parent / ".local" / "test-tls")
os.environ["SSL_CERT_FILE"] = os.environ["REQUESTS_CA_BUNDLE"] = str(TLS.ca_file)
