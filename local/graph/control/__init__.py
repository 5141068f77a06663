"""What tests and people change in the emulator from outside: the tenant, faults, the clock."""
