"""The benches, installed with the package: ``pytest --pyargs fastmas.bench --benchmark-only``."""
