"""The SaaS tools as they answer, and the invented people behind their records."""
