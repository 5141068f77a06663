"""What stops a deployment, in words for whoever runs it."""


class DeployError(Exception):
    """What happened, and what to do next; printed without a traceback."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
