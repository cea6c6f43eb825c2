"""Multi-agent financial systems: Python agents on a C++ core of lock-free rings and consensus."""
