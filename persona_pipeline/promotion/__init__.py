"""Which encoder a night serves and with which settings the next is trained: orders of people, the gate, what is on record."""
