"""The forms in which rows and documents leave the mirror."""
