"""What operators hear of submissions that went to quarantine."""

from uuid import UUID

import structlog
from prometheus_client import Counter

from leadintake.domain.suspicion import Reason

quarantined = Counter("leadintake_quarantined_submissions", "Submissions that were put into quarantine")
log = structlog.get_logger()


def report_quarantine(lead_id: UUID, reasons: tuple[Reason, ...]) -> None:
    """Count it and log it, with nothing that was typed."""
    quarantined.inc()
    log.info("submission_quarantined", lead_id=str(lead_id), reasons=[reason.value for reason in reasons])
