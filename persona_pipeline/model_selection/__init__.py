"""Choose settings of the encoder on a temporal hold-out, and gate a challenger by non-inferiority to the served encoder."""
