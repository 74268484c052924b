"""The language in which a destination is declared, and what turns a list into calls: plan, guards, delivery, receipts."""
