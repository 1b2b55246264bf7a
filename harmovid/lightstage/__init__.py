"""A virtual light stage: people made, filmed and relit exactly, under any light."""
