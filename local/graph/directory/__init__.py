"""What a tenant holds: people, groups, registrations, and every change since the start."""
