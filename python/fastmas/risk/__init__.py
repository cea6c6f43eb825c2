"""Risk and performance: value at risk and its tests, performance figures with their uncertainty, plain benchmarks.

Losses are positive, rates are per one (0.05 is five per cent), daily figures are annualised with 252 sessions a year.
"""
