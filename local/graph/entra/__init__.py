"""The login service: tokens, client assertions and admin consent, with Entra's refusals."""
