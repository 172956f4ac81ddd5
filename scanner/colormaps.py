"""The heat map's colours by name, the default first; apart from what draws them, help is quick."""

COLORMAPS = ("inferno", "magma", "viridis", "cividis")
