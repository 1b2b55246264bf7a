"""Training data: real footage split by person, made small, degraded in light."""
