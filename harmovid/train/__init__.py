"""Training: one loop, objectives, and the stages that use them."""
