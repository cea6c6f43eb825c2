"""What happened in a run, on file: append-only, hash-chained, every record naming its causes.

Writing (`AuditWriter`), reading (`read`), proving that nothing was altered (`verify`, `inclusion_proof`), asking why
something happened (`explain`) and comparing two runs (`diff`). The format is docs/audit-format.md.

>>> import tempfile, pathlib
>>> from fastmas import audit
>>> path = pathlib.Path(tempfile.mkdtemp()) / "run.audit"
>>> with audit.AuditWriter(path, seed=7) as writer:
...     _ = writer.note({"text": "the run begins"})
>>> audit.verify(path, head=writer.head).records
1
"""

from fastmas.audit.decoders import register_decoder
from fastmas.audit.difference import Difference, diff
from fastmas.audit.explanation import Explanation, Node, explain
from fastmas.audit.inclusion import InclusionProof, check_inclusion, inclusion_proof
from fastmas.audit.reader import AuditFile, AuditRecord, read
from fastmas.audit.schema import Schema
from fastmas.audit.verification import Verification, verify
from fastmas.audit.writer import AuditWriter

__all__ = [
    "AuditFile",
    "AuditRecord",
    "AuditWriter",
    "Difference",
    "Explanation",
    "InclusionProof",
    "Node",
    "Schema",
    "Verification",
    "check_inclusion",
    "diff",
    "explain",
    "inclusion_proof",
    "read",
    "register_decoder",
    "verify",
]
