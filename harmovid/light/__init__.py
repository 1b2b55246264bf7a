"""Light and grade: pure functions on pixels, from colour tables to shading by rough geometry."""
