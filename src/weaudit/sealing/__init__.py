"""Seals what happens to the rows of the trail and of its logs into the ledger."""
