"""Tests: a regular package, since an installed one would win over a bare folder."""
