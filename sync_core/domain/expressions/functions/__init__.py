"""The functions of the language, one file a topic, and the table that knows them by name."""
