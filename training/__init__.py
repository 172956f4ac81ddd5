"""Training: everything between labelled radiographs and a bundle."""
