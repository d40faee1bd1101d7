"""The cross-check: every target computes the same network from the same numbers, and the results are compared."""

from __future__ import annotations

from cnnspec.verify.certificate import as_html, as_markdown
from cnnspec.verify.crosscheck import Unverifiable, verify
from cnnspec.verify.exchange import Level
from cnnspec.verify.report import Report

__all__ = ["Level", "Report", "Unverifiable", "as_html", "as_markdown", "verify"]
