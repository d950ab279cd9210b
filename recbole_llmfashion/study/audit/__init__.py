"""What a run tells of the customers of its training data: exposure of canaries, extraction, membership, files."""

from typing import TYPE_CHECKING

from recbole_llmfashion import lazy_names

if TYPE_CHECKING:
    from recbole_llmfashion.study.audit.findings import Findings
    from recbole_llmfashion.study.audit.material import find_material
    from recbole_llmfashion.study.audit.run_audit import AuditSettings, audit
else:
    __getattr__ = lazy_names(
        __name__, {"run_audit": "AuditSettings audit", "findings": "Findings", "material": "find_material"}
    )

__all__ = ["AuditSettings", "Findings", "audit", "find_material"]
