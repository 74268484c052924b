"""The language in which a destination is declared, and the way of a list into it: plan, guards, delivery, receipts."""
