"""The bound: what could be saved at each grain, whatever system holds the data."""
