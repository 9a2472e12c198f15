"""Distinct string types for the identifiers, fixed at construction and never `""`."""

from typing import NewType

SessionId = NewType("SessionId", str)
"""A UUID in its canonical text form."""

SubmissionId = NewType("SubmissionId", str)
"""Names one operation handed to a session; a turn goes by the id of what started it."""

CallId = NewType("CallId", str)
"""Names one tool call of the model; unique within a session."""

SESSION_SUBMISSION = SubmissionId("0")
"""The id of events that answer no submission, such as `session_configured`."""
