"""Ed25519Verifier among threads and processes: no verdict depends on who looks, on who closes it, or on a fork."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import fastmas.signatures
from fastmas.signatures import Ed25519Signer, Ed25519Verifier

pytest.importorskip("cryptography")

SIGNER = Ed25519Signer(hashlib.sha256(b"secret").digest())


def items_of(first: int, count: int) -> list[tuple[bytes, bytes, bytes]]:
    statements = [b"%d" % number for number in range(first, first + count)]
    return [(SIGNER.public_key, one, SIGNER.sign(one)) for one in statements]


def test_a_verifier_may_be_closed_while_another_thread_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    class ClosedAtTheWorstMoment(ThreadPoolExecutor):
        def submit(self, *args: Any, **kwargs: Any) -> Any:
            handed_in.append(args)
            if verifier._lock.acquire(blocking=False):  # another thread could close it now
                verifier._lock.release()
                verifier.close()
            return super().submit(*args, **kwargs)

    handed_in: list[Any] = []
    monkeypatch.setattr(fastmas.signatures, "ThreadPoolExecutor", ClosedAtTheWorstMoment)
    verifier = Ed25519Verifier(threads=3)
    assert verifier.check(items_of(0, 9)) == [True] * 9
    assert len(handed_in) == 2
    verifier.close()
    assert verifier.check(items_of(9, 9)) == [True] * 9
    assert len(handed_in) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_has_threads_of_its_own() -> None:
    script = """
        import os, signal
        from fastmas.signatures import Ed25519Signer, Ed25519Verifier
        signer = Ed25519Signer(bytes(32))
        items = [(signer.public_key, b"%d" % n, signer.sign(b"%d" % n)) for n in range(32)]
        verifier = Ed25519Verifier(threads=2)  # one of its own, which is there from the first use on
        assert verifier(items[:16])
        child = os.fork()
        if child == 0:
            signal.alarm(20)  # threads that are not there answer never
            good = verifier(items) and verifier.check([items[0], (*items[1][:2], items[0][2])]) == [True, False]
            verifier.close()
            os._exit(0 if good else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), verifier(items))
        """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "0 True\n", done.stderr
