"""The rig: the whole system on one machine, with stand-ins for Azure and Entra. Never shipped."""
