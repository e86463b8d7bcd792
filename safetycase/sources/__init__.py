"""Inputs that need no torch: prompt sets and their splits, file digests, configurations, the list of organisms."""
