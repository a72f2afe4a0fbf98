"""The web page: its API, and the page in a real browser."""
