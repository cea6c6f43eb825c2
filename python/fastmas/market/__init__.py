"""Market data: instruments, sessions, checked bars and the feeds made of them."""
