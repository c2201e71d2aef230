"""Stacks: load, plan, reconcile."""
