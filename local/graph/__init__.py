"""Microsoft Graph and Entra's token endpoint, emulated: strict, breakable, loopback only."""

from local.graph.emulator import GraphEmulator

__all__ = ["GraphEmulator"]
