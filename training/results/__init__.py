"""What a model is worth: figures, plots, examples, the card and the report."""
