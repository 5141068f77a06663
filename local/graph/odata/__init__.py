"""The query language of lists: options, filters, pages, delta rounds, and items as JSON."""
