"""Session files as documents for people, and for programs of other people."""
