"""Hook of azd: makes sure that the subscription knows what the network of Flex Consumption is made of.

A subnet is delegated to `Microsoft.App`; where the provider is not registered, provisioning fails late and
with a text that does not say so (github.com/Azure/azure-cli/issues/33177). Without private networking
nothing is asked.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from deploy.hooks.steps import preprovision

sys.exit(preprovision())
