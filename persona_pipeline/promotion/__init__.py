"""Which encoder a night serves and with which settings the next is trained: overrides by people, the gate, what is on record."""
