"""What pipelines, ZenML and the emulator say afterwards."""
