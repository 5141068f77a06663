"""What the program costs, beside the same work written as the SDKs' samples do it."""
