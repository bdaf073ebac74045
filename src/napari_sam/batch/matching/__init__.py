"""Only what is looked for: objects compared with words or examples, and how well each fits."""
