"""Choose settings of the encoder by what each user liked next, and let a challenger in only where it is no worse."""
