"""Tests: a regular package, since an installed one of the same name would win over a bare folder."""
