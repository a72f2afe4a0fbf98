"""Clients of other programs that run services, for those who watch them and those who restart them."""
