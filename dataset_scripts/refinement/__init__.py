"""Refinement: figures become conversations that a teacher wrote and checks let through."""
