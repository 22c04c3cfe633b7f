"""The SQL of the view `annotation_findings`: its rules, and the sources that they look at."""
