"""Three agents settle their decision parameters, then consensus fixes one theta for all of them.

Perception   theta_1 = f1(D)                 what the data say: mean and volatility of the returns
Reasoning    theta_2 = f2(theta_1, theta_3)  how much risk one unit of exposure carries, given the exposure
Decision     theta_3 = f3(theta_1, theta_2)  how much exposure that risk allows
"""

import numpy as np

import fastmas as fm

rng = np.random.Generator(np.random.PCG64(7))
data = rng.normal(0.0004, 0.011, size=2_500)  # D: ten years of daily returns


def perceive(thetas):
    return [data.mean() * 252, data.std(ddof=1) * np.sqrt(252)]


def reason(thetas):
    volatility, exposure = thetas["perception"][1], thetas["decision"][0]
    return [volatility * (1.0 + 0.25 * exposure)]  # large positions move the market against themselves


def decide(thetas):
    mean, risk = thetas["perception"][0], thetas["reasoning"][0]
    return [min(1.0, mean / (2.0 * risk**2))]  # half-Kelly, never levered


point = fm.fixed_point(
    {"perception": perceive, "reasoning": reason, "decision": decide},
    {"perception": [0.0, 0.1], "reasoning": [0.2], "decision": [0.5]},
    damping=0.3,
)
print(f"fixed point after {point.rounds} rounds, residual {point.residual:.1e}")
for name, theta in point.parameters.items():
    print(f"  {name:<10} {np.round(theta, 6)}")

theta = np.concatenate([point.parameters[name] for name in ("perception", "reasoning", "decision")])
agreement = fm.agree(
    {"perception": theta, "reasoning": theta + 1e-12, "decision": theta - 1e-12}, protocol="paxos", seed=7
)
print(f"agreed: theta of {agreement.proposer!r}, the same {agreement.theta.nbytes} bytes for all three agents")
