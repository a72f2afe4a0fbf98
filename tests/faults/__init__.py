"""Faults of Mendline itself: whole processes killed at random moments."""
