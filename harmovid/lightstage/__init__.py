"""A virtual light stage: people made, filmed and relit under any light."""
