"""Which route the next frames should take: pure functions of load and link."""
