"""The documents of the outside, as the API and the tables carry them: JSON in, checked models out, and back.

Names on the wire are camelCase.
"""
