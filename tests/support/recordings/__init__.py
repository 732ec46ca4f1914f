"""Recordings of jobs of the real service: made, played again by the emulator, and compared."""
