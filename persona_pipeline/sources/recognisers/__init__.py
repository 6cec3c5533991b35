"""Find personal data in text: a module a kind, each a generator of (start, end) spans, linear in the length of the text.

They read text whose digits, hyphens and spaces are ASCII (`personal_data.plain`), and are pure Python without Spark.
"""
