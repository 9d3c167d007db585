"""The data sets of the ASVspoof challenges."""
