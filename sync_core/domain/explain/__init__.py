"""Why a person is in or out: facts, and what they mean in words."""
