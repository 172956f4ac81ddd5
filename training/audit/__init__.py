"""The shortcut audit: what else than the lungs a model's answers hang on, in eight tests."""
