"""The cross-check: every target computes the same network from the same numbers, and the results are compared."""

from __future__ import annotations

from cnnspec.verify.crosscheck import Unverifiable, verify
from cnnspec.verify.report import Report

__all__ = ["Report", "Unverifiable", "verify"]
