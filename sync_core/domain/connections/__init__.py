"""Whether a connection can work: credentials, checks, consent."""
