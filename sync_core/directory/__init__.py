"""Microsoft Graph: the only place that knows it. Read-only, but for the app's own subscriptions."""
