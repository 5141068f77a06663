"""Incremental runs, decided: whom to look at, what counts as proof, when a full reading is due."""
