"""The network: codec, transformer, schedule, and the folders they are kept in."""
