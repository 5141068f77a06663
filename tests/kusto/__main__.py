"""`python -m tests.kusto` installs the language service, as its lock file says."""

from local.azurite import install_packages
from tests.kusto import FOLDER, NAME

if __name__ == "__main__":
    install_packages(FOLDER, NAME)
