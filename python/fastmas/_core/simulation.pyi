from typing import TypedDict, type_check_only

@type_check_only
class Outcome(TypedDict):
    is_well: bool
    phase: str
    failure: str
    state: str
    script: str
    coverage: list[tuple[str, int]]
    simulated_s: float
    commits: int
    answered: int
    history: list[tuple[int, int, bool, int, int, int]]

def simulated_protocols() -> list[str]: ...
def simulate_seed(protocol: str, seed: int, seconds: int) -> Outcome: ...
def simulate_script(protocol: str, script: str) -> Outcome: ...
def script_of_seed(protocol: str, seed: int, seconds: int) -> str: ...
def trace_of_seed(protocol: str, seed: int, seconds: int) -> str: ...
